"""`benchyard result`."""

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer


def test_list_is_a_table(run: "Run", lab: "LabServer") -> None:
    """`result list` shows version, flags and how many benchmarks failed; --json is the lab's list."""
    lab.add_result()
    ran = run("result", "list", "--host", "quiet-1")
    assert ran.out.splitlines()[1].split()[:6] == ["1", "1", "quiet-1", "linux-x86_64", "3.11.7", "lto,pgo"]
    assert "2 (1 failed)" in ran.out
    assert lab.seen[-1].query["host"] == ["quiet-1"]
    assert run("result", "list", "--json").json == {"items": [lab.results[1]], "next": None}


def test_list_of_a_job_by_word(run: "Run", lab: "LabServer") -> None:
    """`result list --job` takes the words that name a job everywhere else, too."""
    lab.add_job()
    lab.add_job(status="running")
    for word, number in (("1", "1"), ("last", "2"), ("current", "2")):
        assert run("result", "list", "--job", word).status == 0
        assert lab.seen[-1].query["job"] == [number]
    assert run("result", "list", "--job", "first").status == 2


def test_get_shows_what_is_known(run: "Run", lab: "LabServer") -> None:
    """`result get` shows the result field by field; `last` is the newest."""
    lab.add_result()
    ran = run("result", "get", "last")
    assert "suite            pyperformance 1.14.0\n" in ran.out
    assert "failed fannkuch  killed by signal 11\n" in ran.out
    assert run("result", "get", "1", "--json").json == lab.results[1]


def test_get_shows_what_each_benchmark_gave(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`result get --benchmarks` has a table below, each value in its unit; --json has the same beside the result."""
    assert "Nothing is known of its benchmarks.\n" in run("result", "get", str(lab.add_result()), "--benchmarks").out
    lab.measurements[1] = [
        server_module.a_measurement("go", n=1, stdev=None, memory=None),
        server_module.a_measurement("nbody"),
        server_module.a_measurement(
            "size", unit="byte", mean=2048.0, stdev=512.0, median=2048.0, minimum=1024.0, maximum=3072.0
        ),
    ]
    ran = run("result", "get", "1", "--benchmarks")
    assert ran.out.splitlines()[-5:] == [
        "",
        "BENCHMARK   N  MEAN                 MEDIAN      MIN      MAX    MEMORY",
        "go          1  51.2 ms             50.9 ms  49.8 ms  57.1 ms",
        "nbody      60  51.2 ms +- 1.1 ms   50.9 ms  49.8 ms  57.1 ms  17.5 MiB",
        "size       60  2.0 KiB +- 0.5 KiB  2.0 KiB  1.0 KiB  3.0 KiB  17.5 MiB",
    ]
    assert "BENCHMARK" not in run("result", "get", "1").out
    told = {"measurements": lab.measurements[1]}
    assert run("result", "get", "1", "--benchmarks", "--json").json == lab.results[1] | told


def test_read_writes_the_very_bytes(run: "Run", lab: "LabServer", server_module: ModuleType, tmp_path: Path) -> None:
    """`result read` writes the file's bytes to stdout, or to --output."""
    lab.add_result()
    assert run("result", "read", "1").out.encode() == server_module.FILE
    ran = run("result", "read", "last", "--output", str(tmp_path / "r.json"))
    assert (ran.status, ran.out) == (0, "")
    assert (tmp_path / "r.json").read_bytes() == server_module.FILE


def test_attachments_are_named_and_read(run: "Run", lab: "LabServer", tmp_path: Path) -> None:
    """`result get` names the files that belong to a result, `result read --attachment` writes one."""
    lab.attachments[lab.add_result()] = {"nbody.svg": b"<svg/>"}
    assert "attached 1       nbody.svg, 6 bytes\n" in run("result", "get", "1").out
    assert run("result", "read", "1", "--attachment", "nbody.svg", "-o", str(tmp_path / "n.svg")).status == 0
    assert (tmp_path / "n.svg").read_bytes() == b"<svg/>"
    ran = run("result", "read", "1", "--attachment", "nbody.txt")
    assert ran.status == 1 and "no attachment of this name" in ran.err


def test_read_to_a_bad_place(run: "Run", lab: "LabServer", tmp_path: Path) -> None:
    """A file that cannot be written is one line, exit status 1."""
    lab.add_result()
    ran = run("result", "read", "1", "-o", str(tmp_path / "no" / "r.json"))
    assert ran.status == 1 and "r.json cannot be written: No such file or directory" in ran.err


def test_compare_is_a_table(run: "Run", lab: "LabServer") -> None:
    """`result compare` shows each benchmark, the geometric mean, and what only one of them has."""
    lab.add_result()
    lab.add_result(version="3.12.1", commit="0123456789abcdef")
    ran = run("result", "compare", "1", "2")
    assert ran.status == 0, ran.err
    assert ran.out.splitlines() == [
        "base  result 1: 3.11.7 lto,pgo on quiet-1",
        "head  result 2: 3.12.1 0123456789 lto,pgo on quiet-1",
        "",
        "BENCHMARK   BASE               HEAD               CHANGE",
        "2to3        250 ms +- 3 ms     200 ms +- 2 ms     1.25x faster",
        "json_loads  21.3 us +- 0.2 us  21.4 us +- 0.3 us  not significant",
        "nbody       80.0 ms +- 1.0 ms  88.0 ms +- 1.0 ms  1.10x slower",
        "",
        "Geometric mean: 1.05x faster (3 of 3 benchmarks)",
        "Only in base (1): old_one",
        "Only in head (2): new_one, newer_one",
    ]


def test_noise_beside_the_change(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """Where the noise of the host is known it has a column, and what lies within it is not called a change."""
    for _ in range(2):
        lab.add_result()
    found = lab.comparison(1, 2)
    for row, (noise, within) in zip(found["benchmarks"], ((0.01, False), (0.01, True), (0.123, True)), strict=True):
        row |= {"noise": noise, "within_noise": within}
    lab.canned = [server_module.as_json(found)]
    assert run("result", "compare", "1", "2").out.splitlines()[3:7] == [
        "BENCHMARK   BASE               HEAD               NOISE  CHANGE",
        "2to3        250 ms +- 3 ms     200 ms +- 2 ms     1.0 %  1.25x faster",
        "json_loads  21.3 us +- 0.2 us  21.4 us +- 0.3 us  1.0 %  not significant",
        "nbody       80.0 ms +- 1.0 ms  88.0 ms +- 1.0 ms   12 %  1.10x slower, within noise",
    ]


def test_how_far_a_result_can_be_trusted(run: "Run", lab: "LabServer") -> None:
    """`result list` has the grade; `result get` why it is no better, and what it was measured on."""
    host = {"cpu": "z80", "kernel": "6.1", "governor": "performance", "smt": "off", "isolation": "cpuset-v2"}
    lab.add_result(fingerprint={"host": host})
    header, row = (line.split() for line in run("result", "list").out.splitlines()[:2])
    assert ("GRADE" in header, "B" in row) == (True, True)
    lines = run("result", "get", "1").out.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("grade"))
    assert [line[17:] for line in lines[start : start + 8]] == [
        "B",
        "a virtual machine",
        "governor: not permitted",
        "3 of quiet-1",
        "z80",
        "6.1",
        "governor performance, SMT off",
        "cpuset-v2",
    ]


def test_fingerprint_of_another_tool(run: "Run", lab: "LabServer") -> None:
    """Of what another tool has measured, `result get` has the id of the conditions, which is all that is known."""
    lab.add_result(fingerprint=None, fingerprint_id="portal:42d6dd4409cb")
    lines = [line.split() for line in run("result", "get", "1").out.splitlines()]
    assert ["fingerprint", "portal:42d6dd4409cb"] in lines


def test_compare_as_json(run: "Run", lab: "LabServer") -> None:
    """--json prints the lab's comparison; `last` may stand for either result."""
    lab.add_result()
    lab.add_result()
    ran = run("result", "compare", "1", "last", "--json")
    assert ran.json == lab.comparison(1, 2)


def test_a_missing_result(run: "Run") -> None:
    """A result that does not exist, or none at all yet, is one line with exit status 1."""
    assert run("result", "get", "7").err == "benchyard: result 7 does not exist\n"
    ran = run("result", "get", "last")
    assert ran.status == 1 and "has no result yet" in ran.err


RESULT = b'{"benchmarks": []}'


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A pyperf file, as far as the test server looks."""
    path = tmp_path / "r.json"
    path.write_bytes(RESULT)
    return str(path)


def test_a_result_is_added_with_its_file(run: "Run", lab: "LabServer", file: str) -> None:
    """`result add FILE` makes a result and attaches the file; without a file it has none yet."""
    ran = run("result", "add", file, "--host", "quiet-1", "--commit", "1a2b3c")
    assert ran.status == 0 and ran.out == "result 1: 2 benchmarks of 3.14.0\n", ran.err
    assert lab.files[1] == RESULT and lab.results[1]["commit"] == "1a2b3c"
    assert run("result", "add", "--host", "quiet-1").out == "result 2: no file yet\n"
    assert "none yet; attach it with `benchyard result write 2 FILE`" in run("result", "get", "2").out
    assert run("result", "write", "2", file).out == "result 2: 18 bytes in bm/x.json\n"
    assert run("result", "write", "last", file, "--json").json == lab.results[2]
    assert run("result", "list").status == 0


def test_a_result_of_a_bad_file_does_not_stay(run: "Run", lab: "LabServer", tmp_path: Path) -> None:
    """When the lab refuses the file of `result add`, no result is left without one."""
    (tmp_path / "bad.json").write_text("hello")
    ran = run("result", "add", str(tmp_path / "bad.json"), "--host", "quiet-1")
    assert (ran.status, ran.err) == (1, "benchyard: file: this is not a pyperf file\n")
    assert not lab.results
    assert run("result", "add", str(tmp_path / "missing.json"), "--host", "quiet-1").status == 2


def test_other_bytes_are_refused(run: "Run", lab: "LabServer", tmp_path: Path, file: str) -> None:
    """`result write` of other bytes than those that are there is an error."""
    run("result", "add", file, "--host", "quiet-1")
    (tmp_path / "other.json").write_bytes(RESULT + b" ")
    ran = run("result", "write", "1", str(tmp_path / "other.json"))
    assert (ran.status, ran.err) == (1, "benchyard: result 1 has another file\n")


def test_one_result_is_pruned(run: "Run", lab: "LabServer", server_module: ModuleType, terminal: Any) -> None:
    """`result prune` tells of a single result as of one, where it asks as well."""
    lab.add_result()
    found = server_module.as_json({"items": [lab.results[1]], "next": None})
    lab.canned = [found]
    assert run("result", "prune", "--dry-run").out.splitlines()[-1] == "1 result would go to the trash"
    lab.canned = [found, found]
    shown = terminal("result", "prune", answers=[("Put 1 result into the trash?", "y")])
    assert "1 result went to the trash" in shown
    lab.canned = [server_module.as_json({"items": [], "next": None})]
    assert run("result", "prune", "--yes").out == "0 results went to the trash\n"


def test_a_result_is_changed_and_removed(run: "Run", lab: "LabServer") -> None:
    """`result modify`, `disable`, `enable` and `remove` say what they did, or why not."""
    lab.add_result()
    assert run("result", "modify", "1", "--note", "warm").out == "result 1: changed (note)\n"
    assert "note             warm\n" in run("result", "get", "1").out
    assert run("result", "modify", "1").status == 2
    assert run("result", "disable", "last").out == "result 1: disabled\n"
    assert run("result", "enable", "1", "--json").json["enabled"] is True
    assert run("result", "remove", "1", "--yes", "--json").json == {"id": 1, "status": "trashed"}
    assert not lab.results
