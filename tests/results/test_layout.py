"""Names of result files: bench_runner's."""

import re
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchyard.results.errors import ResultError
from benchyard.results.layout import ResultName, other_place, path_of_run, read_name, result_path

# 2026-11-22T10:53:00Z
_STARTED = 1795344780.0

_FACTS: dict[str, Any] = {
    "day": date(2026, 5, 7),
    "nickname": "sulaco",
    "machine": "aarch64",
    "fork": "python",
    "ref": "main",
    "version": "3.16.0a0",
    "commit": "49918f5b0ceb1950c3222fd4fd6be872d2e15c6f",
}


def _interpreter(**given: Any) -> dict[str, Any]:
    found = {
        "id": "abcdef0123456789",
        "version": "3.11.7",
        "commit": None,
        "branch": None,
        "build_date": None,
        "flags": (),
        "machine": "x86_64",
    }
    return found | given


def test_real_names(real_files: tuple[Path, ...]) -> None:
    """Each real file's directory and name come out again from the facts in them."""
    for path in real_files:
        name = PurePosixPath(path.parent.name, path.name.removesuffix(".gz"))
        _, stamp, nickname, machine, fork, ref, version, commit = name.stem.split("-")
        _, _, _, _, *flags = name.parent.name.split("-")
        made = result_path(
            day=date.fromisoformat(f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:]}"),
            nickname=nickname,
            machine=machine,
            fork=fork,
            ref=ref + "0123456789",
            version=version,
            commit=commit + "0123456789",
            flags=["pgo", "lto", *(flag.lower() for flag in flags)],
        )
        assert made == name


def test_flags_are_sorted_and_translated() -> None:
    """The flags that bench_runner knows are named as it names them, and debug builds as well."""
    flags = ("tailcall", "nogil", "lto", "jit", "pgo", "debug", "jit")
    assert str(result_path(**_FACTS, flags=flags).parent) == "bm-20260507-3.16.0a0-49918f5-DEBUG,JIT,NOGIL,TAILCALL"


def test_fields_are_cleaned() -> None:
    """A dash would end a field and a slash the name: both are replaced; a fork is quoted as in URLs."""
    facts = _FACTS | {
        "nickname": "host-1/a b",
        "machine": "X86-64",
        "fork": "faster-cpython",
        "ref": "feature/über-long-branch-name",
        "version": "3.15.0a1+",
    }
    assert result_path(**facts).name == (
        "bm-20260507-host_1_a_b-x86_64-faster%2dcpython-feature__ber_long_br-3.15.0a1+-49918f5.json"
    )


@given(
    st.fixed_dictionaries({name: st.text(min_size=1, max_size=30) for name in ("nickname", "ref", "version", "fork")})
)
def test_any_text(texts: dict[str, str]) -> None:
    """Whatever the fields hold, the name has eight of them, and bench_runner takes it apart."""
    path = result_path(**_FACTS | texts)
    assert len(path.parts) == 2
    assert len(path.stem.split("-")) == 8
    assert len(path.parent.name.split("-")) == 4
    assert re.fullmatch(r"[A-Za-z0-9._+%~,-]+", path.parent.name + path.name)


def test_refusals() -> None:
    """An empty field and an over-long name are refused by name."""
    with pytest.raises(ResultError, match=r"its nickname is empty$"):
        result_path(**_FACTS | {"nickname": ""})
    with pytest.raises(ResultError, match=r"longer than 252 bytes"):
        result_path(**_FACTS | {"nickname": "n" * 300})


def test_installed_interpreter() -> None:
    """Without a commit the interpreter's id and version stand in, and the date is that of the run."""
    path = path_of_run(_interpreter(), host="sulaco", started=_STARTED)
    assert str(path) == ("bm-20261122-3.11.7-abcdef0/bm-20261122-sulaco-x86_64-python-v3.11.7-3.11.7-abcdef0.json")


def test_built_interpreter() -> None:
    """With a commit it is named by commit, branch, and the date of its build."""
    known = {"commit": "49918f5b0ceb1950", "branch": "main", "build_date": "2026-05-07", "flags": ["jit"]}
    path = path_of_run(_interpreter(**known), host="sulaco", started=_STARTED)
    assert str(path) == ("bm-20260507-3.11.7-49918f5-JIT/bm-20260507-sulaco-x86_64-python-main-3.11.7-49918f5.json")


def test_detached_commit() -> None:
    """Without a branch the commit is the ref, cut as bench_runner cuts it."""
    path = path_of_run(_interpreter(commit="49918f5b0ceb1950c3222fd4"), host="sulaco", started=_STARTED)
    assert path.name.split("-")[5] == "49918f5b0ceb1950c322"


@pytest.mark.parametrize("date", ["May 7 2026", "9999-12-31T23:59:59-12:00", "0001-01-01 00:00:00+05:00"])
def test_odd_build_date(date: str) -> None:
    """A build date that cannot be read, or cannot be, does not cost the result."""
    path = path_of_run(_interpreter(build_date=date), host="sulaco", started=_STARTED)
    assert path.name.startswith("bm-20261122-")


@pytest.mark.parametrize(
    ("url", "fork"),
    [
        (None, "python"),
        ("https://github.com/python/cpython", "python"),
        ("https://github.com/faster-cpython/cpython/", "faster%2dcpython"),
        ("ssh://git@example.org/ada/cpython.git", "ada"),
        ("https://example.org/cpython", "python"),
        ("file:///srv/git/cpython", "python"),
    ],
)
def test_fork(url: str | None, fork: str) -> None:
    """The fork is the owner of the repository."""
    path = path_of_run(_interpreter(commit="1" * 40, url=url, ref="v3.14.0"), host="sulaco", started=_STARTED)
    assert path.name.split("-")[4:6] == [fork, "v3.14.0"]


def test_patched_is_not_its_commit() -> None:
    """What was measured with a patch is named by it, however long the name of the branch is."""
    patched = _interpreter(commit="1" * 40, branch="a_very_long_name_of_a_branch", patch="abcdef0123" * 6 + "abcd")
    path = path_of_run(patched, host="sulaco", started=_STARTED)
    assert path.name.split("-")[5] == "a_very_long_+abcdef0"


def test_names_are_read_back(real_files: tuple[Path, ...]) -> None:
    """What was put into a path is what is read from it, for real names and for ours, below `rerun-2` as well."""
    for path in real_files:
        read = read_name(PurePosixPath("rerun-2", path.parent.name, path.name.removesuffix(".gz")))
        assert read is not None
        assert (read.nickname, read.machine, read.fork) == ("sulaco", "aarch64", "python")
        assert path.parent.name.endswith("-JIT") == (read.flags == ("JIT",))
        assert path.parent.name.startswith(f"bm-{read.day}-{read.version}-{read.commit}")
    made = result_path(**(_FACTS | {"fork": "some-one", "ref": "a-b/c"}), flags=("jit", "nogil", "pgo"))
    assert read_name(made) == ResultName(
        "20260507", "sulaco", "aarch64", "some-one", "a_b_c", "3.16.0a0", "49918f5", ("JIT", "NOGIL")
    )


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "bm-20260507-3.16.0a0-49918f5/README.md",
        "bm-20260507-3.16.0a0-49918f5/bm-20260507-sulaco-aarch64-python-main-3.16.0a0-49918f5-vs-base.md",
        "bm-20260507-3.16.0a0-49918f5/bm-20260507-sulaco-aarch64-python-main-3.16.0a0-49918f5-pystats.json",
        "bm-20260507-3.16.0a0-49918f5/bm-20260507-sulaco-aarch64-python-main-3.16.0a0-49918f5.profile",
        "bm-20260507-3.16.0a0-49918f5/bm-yesterday-sulaco-aarch64-python-main-3.16.0a0-49918f5.json",
        "bm-20260507-sulaco-aarch64-python-main-3.16.0a0-49918f5.json",
        "other/bm-20260507-sulaco-aarch64-python-main-3.16.0a0-49918f5.json",
        "../bm-20260507-3.16.0a0-49918f5/bm-20260507-sulaco-aarch64-python-main-3.16.0a0-49918f5.json",
        "/bm-20260507-3.16.0a0-49918f5/bm-20260507-sulaco-aarch64-python-main-3.16.0a0-49918f5.json",
        "bm-20260507-3.16.0a0-49918f5/bm-20260507-su\nlaco-aarch64-python-main-3.16.0a0-49918f5.json",
    ],
)
def test_other_names(path: str) -> None:
    """What is no pyperf file of a lab's or bench_runner's is not taken for one."""
    assert read_name(PurePosixPath(path)) is None


def test_other_places() -> None:
    """A name that is taken is so in a rerun as well; places are counted on from where the file is."""
    path = PurePosixPath("bm-x", "bm-y.json")
    assert [str(other_place(path, number)) for number in (1, 2, 3)] == [str(path), f"rerun-2/{path}", f"rerun-3/{path}"]
    rerun = PurePosixPath("rerun-2", path)
    assert [str(other_place(rerun, number)) for number in (1, 2)] == [f"rerun-2/{path}", f"rerun-3/{path}"]
