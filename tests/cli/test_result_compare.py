"""`benchyard result compare` and what it makes of the lab's answers."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer


@pytest.fixture
def told(lab: "LabServer") -> dict[str, Any]:
    """A comparison as the lab tells it, with all there is to say, of two results."""
    for _ in range(2):
        lab.add_result()
    found = lab.comparison(1, 2)
    verdicts = (("better", 1.24, 1.26), ("same", 0.98, 1.01), ("worse", 0.9, 0.92))
    for row, (verdict, low, high) in zip(found["benchmarks"], verdicts, strict=True):
        row |= {"verdict": verdict, "low": low, "high": high, "p": 0.001}
    return found | {
        "reliability": {"faster": 0.97, "change": "faster with a reliability of 97.0 %", "at_90": 1.03, "at_95": 1.01},
        "counts": {"better": 1, "worse": 1, "same": 1},
        "groups": [{"tag": "apps", "ratio": 1.02, "change": "1.02x faster", "n": 2}],
        "memory": {"ratio": 1.1, "change": "1.10x smaller", "n": 3, "of": 3},
        "marks": ["head is of grade C: disturbed"],
        "assumed_noise": 0.021,
        "base_results": [1],
        "head_results": [2, 1],
    }


def canned(lab: "LabServer", module: ModuleType, document: dict[str, Any]) -> None:
    """Let the lab answer this once."""
    lab.canned = [module.as_json(document)]


def test_all_that_is_to_be_said(
    run: "Run", lab: "LabServer", server_module: ModuleType, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Intervals stand beside the changes; what is overall comes below, and groups on demand."""
    canned(lab, server_module, told)
    ran = run("result", "compare", "1", "main@quiet-1+jit", "--tags")
    assert ran.status == 0, ran.err
    assert lab.seen[-1].query == {"base": ["1"], "head": ["main@quiet-1+jit"]}
    assert ran.out.splitlines()[1:] == [
        "head  results 2, 1: 3.11.7 lto,pgo on quiet-1",
        "",
        "BENCHMARK   BASE               HEAD               95 %            CHANGE",
        "2to3        250 ms +- 3 ms     200 ms +- 2 ms     1.240 to 1.260  1.25x faster",
        "json_loads  21.3 us +- 0.2 us  21.4 us +- 0.3 us  0.980 to 1.010  not significant",
        "nbody       80.0 ms +- 1.0 ms  88.0 ms +- 1.0 ms  0.900 to 0.920  1.10x slower",
        "",
        "Geometric mean: 1.05x faster (3 of 3 benchmarks)",
        "Overall: faster with a reliability of 97.0 %; by at least 1.01x with 95 %",
        "Benchmarks: 1 faster, 1 slower, 1 without a difference",
        "Memory: 1.10x smaller (3 benchmarks)",
        "Head is of grade C: disturbed",
        "Noise: not known of all; two runs are taken to differ by up to 2.1 %",
        "",
        "TAG   BENCHMARKS  GEOMETRIC MEAN",
        "apps           2  1.02x faster",
        "Only in base (1): old_one",
        "Only in head (2): new_one, newer_one",
    ]


def test_words_of_units(run: "Run", lab: "LabServer", server_module: ModuleType, told: dict[str, Any]) -> None:
    """What is better is called by the one unit of all that count, as in the lab's texts, and better of several."""
    for units, words in (
        (("byte", "byte", "byte"), "1 smaller, 1 larger"),
        (("integer", "integer", "integer"), "1 less, 1 more"),
        (("second", "byte", "second"), "1 better, 1 worse"),
    ):
        for row, unit in zip(told["benchmarks"], units, strict=True):
            row["head"] |= {"unit": unit}
        canned(lab, server_module, told)
        assert f"Benchmarks: {words}, 1 without a difference\n" in run("result", "compare", "1", "2").out
    told["benchmarks"][1]["counted"] = False
    canned(lab, server_module, told)
    assert "Benchmarks: 1 faster, 1 slower, 1 without a difference\n" in run("result", "compare", "1", "2").out


def test_what_is_not_believed(run: "Run", lab: "LabServer", server_module: ModuleType, told: dict[str, Any]) -> None:
    """A change that pyperf calls significant is told to be noise where it may be, and different where it is."""
    told["benchmarks"][0]["verdict"] = "same"
    told["benchmarks"][2] |= {"verdict": "unknown", "differences": ["version 1 against 2"]}
    told |= {"geometric_mean": None, "reliability": None, "memory": None, "differences": ["kernel 6.1 against 6.5"]}
    canned(lab, server_module, told)
    lines = run("result", "compare", "1", "2").out.splitlines()
    assert [line.partition(" to ")[2][7:] for line in lines[4:7]] == [
        "1.25x faster, may be noise",
        "not significant",
        "1.10x slower, not sure (version 1 against 2)",
    ]
    assert "Different: kernel 6.1 against 6.5; nothing counts overall without --include-different" in lines


def test_one_with_several(run: "Run", lab: "LabServer") -> None:
    """Several heads have a column each."""
    for _ in range(3):
        lab.add_result()
    ran = run("result", "compare", "1", "2", "last", "--single", "--include-different")
    assert ran.status == 0, ran.err
    assert lab.seen[-1].query == {
        "base": ["1"],
        "head": ["2", "last"],
        "single": ["true"],
        "include_different": ["true"],
    }
    lines = ran.out.splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [["base", "result"], ["head", "1"], ["head", "2"]]
    assert lines[4:6] == [
        "BENCHMARK   BASE               HEAD 1                    HEAD 2",
        "2to3        250 ms +- 3 ms     200 ms: 1.25x faster      200 ms: 1.25x faster",
    ]
    assert "Head 2: Geometric mean: 1.05x faster (3 of 3 benchmarks)" in lines


def test_groups_and_what_is_left_out_of_each_head(
    run: "Run", lab: "LabServer", server_module: ModuleType, told: dict[str, Any]
) -> None:
    """With several heads, too, groups are told on demand, and for each head what does not compare."""
    other = told | {"groups": [{"tag": "math", "ratio": 0.9, "change": "1.11x slower", "n": 1}, told["groups"][0]]}
    other |= {"missing": [], "new": [], "incomparable": ["sizes"]}
    for flags in ((), ("--tags",)):
        canned(lab, server_module, told | {"more": [other]})
        lines = run("result", "compare", "1", "2", "2", *flags).out.splitlines()
        assert [line for line in lines if "Only in" in line or "Not comparable" in line] == [
            "Head 1: Only in base (1): old_one",
            "Head 1: Only in head (2): new_one, newer_one",
            "Head 2: Not comparable (1): sizes",
        ]
    assert lines[-4:] == [
        "",
        "TAG   HEAD 1            HEAD 2",
        "apps  1.02x faster (2)  1.02x faster (2)",
        "math                    1.11x slower (1)",
    ]


def test_many_names_on_a_terminal(
    lab: "LabServer", server_module: ModuleType, told: dict[str, Any], terminal: Callable[..., str]
) -> None:
    """What only one side has is wrapped to the terminal, with every name whole."""
    names = [f"a_benchmark_with-{number}" for number in range(40)]
    canned(lab, server_module, told | {"benchmarks": [], "missing": names, "new": ["x" * 100]})
    shown = terminal("result", "compare", "1", "2", answers=[]).replace("\r", "").splitlines()
    begin = shown.index(f"Only in base (40): {', '.join(names[:3])},")
    assert all(len(line) <= 80 for line in shown[begin:] if "xxx" not in line)
    assert " ".join("\n".join(shown[begin:]).split()).startswith(
        f"Only in base (40): {', '.join(names)} Only in head (1):"
    )


def test_a_file_is_sent_along(run: "Run", lab: "LabServer", tmp_path: Path) -> None:
    """A path is that of a file that the lab need not have; it may be packed."""
    lab.add_result()
    data = json.dumps({"version": "1.0", "benchmarks": []}).encode()
    (tmp_path / "new.json.gz").write_bytes(gzip.compress(data))
    ran = run("result", "compare", "1", str(tmp_path / "new.json.gz"))
    assert ran.status == 0, ran.err
    assert "head  file new.json.gz: 3.15.0a1\n" in ran.out
    seen = lab.seen[-1]
    assert (seen.method, seen.query["head"]) == ("POST", ["file:new.json.gz"])
    assert json.loads(seen.data) == {"new.json.gz": json.loads(data)}


def test_files_that_cannot_be_sent(run: "Run", tmp_path: Path) -> None:
    """A file that is missing, damaged or no JSON is refused in one line, before the lab is asked."""
    (tmp_path / "text.json").write_text("hello")
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b"{}" * 10_000)[:30])
    for name, words in (
        ("missing.json", "missing.json cannot be read: No such file or directory"),
        ("text.json", "text.json is no pyperf file"),
        ("cut.json.gz", "cut.json.gz is damaged"),
    ):
        ran = run("result", "compare", "1", str(tmp_path / name))
        assert ran.status == 1 and words in ran.err and ran.err.count("\n") == 1, ran.err


def test_texts_are_the_labs(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """Markdown and CSV are printed as the lab made them."""
    for form, path in (("markdown", "compare.md"), ("csv", "compare.csv")):
        lab.canned = [server_module.Answer(200, b"a,b\n1,2\n", "text/plain")]
        assert run("result", "compare", "1", "2", "--format", form).out == "a,b\n1,2\n"
        assert lab.seen[-1].path.endswith(f"/results/{path}")
    lab.add_result()
    assert run("result", "compare", "1", "1", "--format", "json").json == lab.comparison(1, 1)


def test_many_with_many(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """--matrix has a row and a column for each, and says what does not compare."""
    for _ in range(3):
        lab.add_result()
    counts = {"better": 1, "worse": 0, "same": 2, "unknown": 0}
    cells = [
        {"base": 0, "head": 1, "ratio": 1.1, "change": "1.10x faster", "counts": counts, "differences": []},
        {"base": 1, "head": 0, "ratio": 0.9, "change": "1.10x slower", "counts": counts, "differences": []},
        {"base": 0, "head": 2, "ratio": None, "change": "", "counts": counts, "differences": ["host a against b"]},
    ]
    lab.canned = [server_module.as_json({"sides": [lab.results[n] for n in (1, 2, 3)], "cells": cells})]
    ran = run("result", "compare", "1", "2", "last", "--matrix")
    assert ran.status == 0, ran.err
    assert lab.seen[-1].query == {"base": ["1", "2", "last"]}
    assert ran.out.splitlines()[4:] == [
        "BASE  1             2             last",
        "1                   1.10x faster  different",
        "2     1.10x slower",
        "",
        "Different: host a against b; --include-different counts them nevertheless",
    ]


def test_exit_status(run: "Run", lab: "LabServer", server_module: ModuleType, told: dict[str, Any]) -> None:
    """A comparison that could be made is a success; with --fail-if-worse only if nothing got worse."""
    for counts, faster, status in (
        ({"worse": 1}, 0.5, 1),
        ({"better": 3}, 0.99, 0),
        ({"same": 3}, 0.03, 1),
        ({"same": 3}, 0.5, 0),
    ):
        told |= {"counts": counts, "reliability": {"faster": faster, "change": "so"}}
        canned(lab, server_module, told)
        assert run("result", "compare", "1", "2").status == 0
        canned(lab, server_module, told)
        assert run("result", "compare", "1", "2", "--fail-if-worse").status == status, counts
    assert run("result", "compare", "1").status == 2
    assert run("result", "compare", "1", "2", "--matrix", "--format", "csv").status == 2
    for flag in ("--fail-if-worse", "--tags"):
        for form in ("csv", "markdown"):
            assert run("result", "compare", "1", "2", flag, "--format", form).status == 2
    ran = run("result", "compare", "1", "9")
    assert (ran.status, ran.err) == (1, "benchyard: there is no enabled result '9'\n")


def test_nothing_to_be_worse(run: "Run", lab: "LabServer", server_module: ModuleType, told: dict[str, Any]) -> None:
    """Where nothing counts, --fail-if-worse fails with the reason, after what was found; else it is no error."""
    rows = [row | {"counted": False} for row in told["benchmarks"]]
    nothing = told | {"counts": {}, "reliability": None, "geometric_mean": None, "memory": None}
    versions = [row | {"differences": ["version 1 against 2"]} for row in rows]
    counting = "(--include-different counts them nevertheless)"
    for found, words in (
        (
            {"benchmarks": rows, "differences": ["host a against b", "grade A against C"]},
            f"host a against b, grade A against C {counting}",
        ),
        ({"benchmarks": versions}, f"different: version 1 against 2 {counting}"),
        ({"benchmarks": [], "incomparable": ["nbody"]}, "measured in different units"),
        ({"benchmarks": []}, "they have no benchmark in common"),
        ({"benchmarks": [], "differences": ["host a against b"]}, "they have no benchmark in common"),
        ({"counts": {"unknown": 3}}, "of no benchmark is it known how far its values vary"),
    ):
        canned(lab, server_module, nothing | found)
        assert run("result", "compare", "1", "2").status == 0
        canned(lab, server_module, nothing | found)
        ran = run("result", "compare", "1", "2", "--fail-if-worse")
        assert ran.status == 1 and ran.out.startswith("base  "), words
        assert ran.err.startswith("benchyard: nothing could be compared; ") and ran.err.endswith(f"{words}\n"), ran.err
        assert ran.err.count("\n") == 1


def test_a_head_with_nothing_in_common(
    run: "Run", lab: "LabServer", server_module: ModuleType, told: dict[str, Any]
) -> None:
    """Of several heads the one of which nothing can be said is named, and the others do not make up for it."""
    better = told | {"counts": {"better": 3}, "reliability": {"faster": 0.99, "change": "so"}}
    nothing = better | {"benchmarks": [], "counts": {}, "reliability": None, "geometric_mean": None}
    canned(lab, server_module, better | {"more": [nothing]})
    ran = run("result", "compare", "1", "2", "2", "--fail-if-worse", "--json")
    assert (ran.status, ran.json["more"][0]["benchmarks"]) == (1, [])
    assert ran.err == "benchyard: nothing could be compared; head 2: they have no benchmark in common\n"
