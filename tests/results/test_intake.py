"""Files that were measured elsewhere."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyperf
import pytest

from benchyard.results.errors import ResultError
from benchyard.results.importing import examine, open_content
from benchyard.results.intake import take_in


def test_file_of_another_lab(tmp_path: Path) -> None:
    """What a lab's own file says of its interpreter is known where it is taken in."""
    metadata = {
        "name": "nbody",
        "commit_id": "1" * 40,
        "commit_branch": "idea",
        "benchyard_flags": "nogil,pgo",
        "benchyard_patch": "abcdef0123" * 6 + "abcd",
        "benchyard_remote": "ada",
        "benchyard_compiler": "gcc (Debian) 12.2.0",
        "python_version": "3.15.0 (64-bit)",
        "platform": "Linux-6.1.0-x86_64-with-glibc2.36",
    }
    runs = [pyperf.Run([1.0, 1.1], metadata=metadata, collect_metadata=False)]
    file = tmp_path / "a.json"
    pyperf.BenchmarkSuite([pyperf.Benchmark(runs)]).dump(str(file))
    told = {"commit": None, "branch": None, "now": 1795345200.0, "present": None}
    columns = take_in(tmp_path, file.read_bytes(), host="bench", **told)  # type: ignore[arg-type]
    assert columns["flags"] == ("nogil", "pgo")
    assert columns["path"].startswith("bm-20261122-3.15.0-1111111-NOGIL/bm-20261122-bench-x86_64-python-idea+abcdef0-")
    interpreter = columns["interpreter"]
    assert (interpreter["remote"], interpreter["compiler"]) == ("ada", "gcc (Debian) 12.2.0")
    assert (interpreter["patch"], interpreter["ref"]) == (metadata["benchyard_patch"], None)


@pytest.mark.parametrize(
    ("platform", "compiler", "machine", "target"),
    [
        ("Linux-6.1.0-13-amd64-x86_64-with-glibc2.36", "GCC 12.2.0", "x86_64", "linux-x86_64"),
        ("Linux-6.1.0-13-arm64-armv8l-with-glibc2.36", "GCC 12.2.0", "aarch64", "linux-armv8l"),
        ("FreeBSD-13.2-RELEASE-p1-amd64-64bit-ELF", "Clang 14.0.5", "unknown", "freebsd-amd64"),
        ("macOS-10.15.7-x86_64-i386-64bit", "Clang 12.0.0", "x86_64", "macos-x86_64"),
        ("Darwin-19.6.0-x86_64-i386-64bit", "Clang 12.0.0", "x86_64", "macos-x86_64"),
        ("macOS-14.5-arm64-arm-64bit-Mach-O", "Clang 15.0.0", "arm64", "macos-arm64"),
        ("Windows-10-10.0.20348-SP0", "MSC v.1938 64 bit (AMD64)", "AMD64", "windows-amd64"),
        ("Windows-10-10.0.20348-SP0", "MSC v.1938 64 bit (AMD64)", "unknown", "windows-amd64"),
        ("Windows-10-10.0.20348-SP0", "MSC v.1938 32 bit (Intel)", "unknown", "windows-x86"),
        ("Windows-10-10.0.20348-SP0", "", "x86", "windows-x86"),
        ("Windows-10-10.0.20348-SP0", "", "unknown", None),
        ("", "MSC v.1938 64 bit (AMD64)", "amd64", None),
    ],
)
def test_targets_of_foreign_files(
    make_file: Callable[..., bytes], platform: str, compiler: str, machine: str, target: str | None
) -> None:
    """Systems have one name each; the machine is the platform's, or else that of the name, or of the compiler."""
    document = json.loads(make_file({"nbody": [1.0, 1.1]}))
    said = {"platform": platform, "python_compiler": compiler}
    document["metadata"] = {**document.get("metadata", {}), **{name: text for name, text in said.items() if text}}
    content = open_content(json.dumps(document).encode())
    name = f"bm-20240101-3.13.0-1111111/bm-20240101-perf1-{machine}-python-main-3.13.0-1111111.json"
    first = examine(content, name, now=1.0)
    assert first.columns["target"] == target
    elsewhere = examine(content, name, host="another", now=1.0)
    again = examine(content, str(elsewhere.place), now=1.0)
    assert (again.columns, again.place) == (elsewhere.columns, elsewhere.place)


def test_the_state_of_the_suite(make_file: Callable[..., bytes]) -> None:
    """What bench_runner measured with its suites in one state has one fingerprint; what says no state has none."""
    found = [
        examine(open_content(make_file({"nbody": [1.0, 1.1]}, **said)), "x.json", now=1.0).columns["fingerprint_id"]
        for said in ({"benchmark_hash": "ac5fd1"}, {})
    ]
    assert found == ["benchmarks:ac5fd1", None]


@pytest.mark.parametrize(("said", "version"), [(" 3.12.0 (64-bit) revision 1", "3.12.0"), ("  ", "unknown")])
def test_blanks_before_the_version(make_file: Callable[..., bytes], said: str, version: str) -> None:
    """A version is what is there of it, as pyperf has it."""
    document = json.loads(make_file({"nbody": [1.0, 1.1]}))
    document.setdefault("metadata", {})["python_version"] = said
    if not said.strip():
        del document["metadata"]["python_version"]
    foreign = examine(open_content(json.dumps(document).encode()), "x.json", now=1.0)
    assert (foreign.columns["version"], foreign.columns["interpreter"]["version"]) == (version, version)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"python_version": 3}, "metadata python_version is 3, and no text"),
        ({"hostname": "a\x00b"}, r"metadata hostname has control characters: 'a\x00b'"),
        ({"performance_version": "9" * 201}, "metadata performance_version is longer than 200 characters"),
        ({"benchyard_flags": 1.5}, "metadata benchyard_flags is 1.5, and no text"),
        ({"benchyard_cpu": "z\x1b80"}, r"metadata benchyard_cpu has control characters: 'z\x1b80'"),
        ({"benchyard_compiler": "G\u202eCC"}, r"metadata benchyard_compiler has control characters: 'G\u202eCC'"),
    ],
)
def test_metadata_that_no_tool_writes(
    tmp_path: Path, make_file: Callable[..., bytes], metadata: dict[str, Any], said: str
) -> None:
    """What is no text where one is read, or none that can be shown, is refused, and nothing is kept."""
    document = json.loads(make_file({"nbody": [1.0, 1.1]}))
    document.setdefault("metadata", {}).update(metadata)
    with pytest.raises(ResultError) as refused:
        take_in(tmp_path, json.dumps(document).encode(), host="h", commit=None, branch=None, now=1.0, present=None)
    assert str(refused.value) == f"the result file's {said}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"python_config_args": "--a\x00b"}, "has a NUL character in it"),
        ({"benchyard_configure_args": "-" * 100_000}, "is longer than 100 kB"),
    ],
)
def test_what_no_index_keeps(
    tmp_path: Path, make_file: Callable[..., bytes], metadata: dict[str, Any], said: str
) -> None:
    """A text that lists of results would be too long with, or that a database refuses, is refused."""
    document = json.loads(make_file({"nbody": [1.0, 1.1]}))
    document.setdefault("metadata", {}).update(metadata)
    with pytest.raises(ResultError, match=f"says of its interpreter and conditions {said}"):
        take_in(tmp_path, json.dumps(document).encode(), host="h", commit=None, branch=None, now=1.0, present=None)


def test_reasons_of_a_grade(tmp_path: Path, make_file: Callable[..., bytes]) -> None:
    """They name programs, which may be called anything: what cannot be shown is marked."""
    document = json.loads(make_file({"nbody": [1.0, 1.1]}))
    document.setdefault("metadata", {}).update(benchyard_grade="C", benchyard_grade_reasons="\x1b[2J runs; hot")
    told: dict[str, Any] = {"commit": None, "branch": None, "now": 1.0, "present": None}
    columns = take_in(tmp_path, json.dumps(document).encode(), host="h", **told)
    assert columns["grade_reasons"] == ("\ufffd[2J runs", "hot")
