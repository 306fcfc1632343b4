"""The tables of a repository, by themselves."""

from pathlib import PurePosixPath

import pytest
from publications import file_of, measured, path_of, publication

from benchyard.publish.describing import compared, describe_row
from benchyard.publish.git.tables import (
    MOST_ROWS,
    Shown,
    is_derived,
    read_change,
    read_grade,
    render_comparison,
    render_folder,
    render_index,
)
from benchyard.results.layout import read_name


def shown(path: str, grade: str = "", change: str = "") -> Shown:
    name = read_name(PurePosixPath(path))
    assert name is not None
    return Shown(PurePosixPath(path), name, grade, change)


def test_long_index() -> None:
    """An index has its newest rows only, and says how many results there are besides."""
    results = [shown(path_of(number)) for number in range(MOST_ROWS // 4 + 1)]
    more = [shown(path_of(number, host)) for number in range(MOST_ROWS // 4) for host in ("a", "b", "c")]
    text = render_index(None, results + more).decode()
    assert text.count("\n| [") == MOST_ROWS
    assert f"[{results[-1].path.parent.name}" not in text
    assert "\nAnd 1 older ones in the folders here.\n" in text
    oldest = sorted(str(one.path) for one in results + more if one.name.day == "20260101")[-1]
    assert oldest not in text
    assert render_index(text.encode(), results + more).decode() == text


def test_names_of_others() -> None:
    """Names of files that others have put there are no markup, and lead to these files."""
    path = "bm-20260101-3.16-abc-<b>,x/bm-20260101-[h](x)-m|m-a%2db-`r`-3.16-abc.json"
    text = render_index(None, [shown(path)]).decode()
    (row,) = [line for line in text.splitlines() if line.startswith("| [")]
    assert row.count(" | ") == 7
    assert "<b>" not in row
    assert "`r`" not in row
    assert "bm-20260101-%5Bh%5D%28x%29-m%7Cm-a%252db-%60r%60-3.16-abc.json" in row
    assert "a&#45;b" in row


@pytest.mark.parametrize(
    ("data", "grade"),
    [
        (file_of({"nbody": [1.0]}, benchyard_grade="A"), "A"),
        (file_of({"nbody": [1.0]}, benchyard_grade="**A**"), ""),
        (file_of({"nbody": [1.0]}, benchyard_grade=["A"]), ""),
        (file_of({"nbody": [1.0]}), ""),
        (b"[]", ""),
        (b"\xff", ""),
        (b"", ""),
    ],
)
def test_grade(data: bytes, grade: str) -> None:
    """A grade is one of the three, whatever else a file says."""
    assert read_grade(data) == grade


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("- Geometric mean (including insignificant results): 1.05x faster\n", "1.05x faster"),
        ("- Geometric mean (including insignificant results): 1.234x slower\n\n# Memory\n", "1.234x slower"),
        ("- Geometric mean (including insignificant results): not sig", "not sig"),
        ("- Geometric mean (including insignificant results): [x](y)", ""),
        ("Geometric mean: 1.05x faster", ""),
        ("", ""),
    ],
)
def test_change(text: str, change: str) -> None:
    """What a comparison says is read where bench_runner reads it, and is nothing but such words."""
    assert read_change(text.encode()) == change


def test_comparison_without_common_benchmarks() -> None:
    """Two results with nothing in common have a comparison that says so, in words that bench_runner has, too."""
    head, base = (measured(file_of({name: [1.0]}), path_of(number), id=number) for number, name in ((1, "a"), (2, "b")))
    together = publication(head, base)
    comparison = compared(together)
    assert comparison is not None
    text = render_comparison(together, comparison)
    assert read_change(text) == "not sig"
    assert b"Nothing to compare" in text


def test_comparison_of_what_differs() -> None:
    """Where more differs than the interpreter, a table says what, and has no number; by the rows and by the files."""
    alike, data = {"suite_version": "1.14.0", "epoch": 1}, [file_of({"nbody": [v] * 5}) for v in (1.0, 2.0)]
    hashed = [file_of({"nbody": [1.0] * 5}, benchmark_hash=name) for name in ("ac5fd1", "31b33d")]
    others: list[tuple[dict[str, object], list[bytes], str]] = [
        ({"host": "bench2"}, data, "host bench1 against bench2"),
        ({"suite_version": "1.13.0"}, data, "suite version 1.14.0 against 1.13.0"),
        ({"grade": "C"}, data, "grade B against C"),
        ({"epoch": 2}, data, "epoch 1 against 2"),
        ({}, hashed, "benchmark hash ac5fd1 against 31b33d"),
    ]
    for columns, (old, new), said in others:
        head, base = measured(new, path_of(2), **{**alike, **columns}), measured(old, path_of(1), **alike)
        together = publication(head, base)
        comparison = compared(together)
        assert comparison is not None and comparison.differences == (said,)
        text = render_comparison(together, comparison)
        assert read_change(text) == "not sig"
        assert f"Different besides the interpreter: `{said}`\n".encode() in text


def test_folder_says_what_was_measured() -> None:
    """The page of a folder has what the files say: grade with reasons, flags, suite and patch; and the means."""
    data = file_of(
        {"nbody": [0.1, 0.1]},
        benchyard_grade="C",
        benchyard_grade_reasons="hot; a neighbour",
        benchyard_flags="jit,lto",
        benchyard_patch="d" * 64,
        commit_id="e" * 40,
        commit_branch="main",
        performance_version="1.14.0",
    )
    text = render_folder([(shown(path_of(1, flags="JIT"), "C", "1.05x faster"), data)]).decode()
    for line in (
        "- date: 2026-01-02",
        "- config: `JIT`",
        f"- commit: `{'e' * 10}`",
        f"- patch: `{'d' * 10}`",
        "- flags: `jit`, `lto`",
        "- grade: `C`: `hot`; `a neighbour`",
        "- suite: `pyperformance 1.14.0`",
        "| `nbody` | 100 ms +- 0 ms |",
    ):
        assert f"\n{line}\n" in text
    assert "[1.05x faster](bm-20260102-bench1-x86_64-python-main-3.16.0a0-0000001-vs-base.md)" in text


def test_derived() -> None:
    """What is named after a result belongs to it, and another result whose name begins the same does not."""
    path = PurePosixPath(path_of(1))
    assert is_derived(path.with_name(f"{path.stem}-vs-base.md"), path)
    assert is_derived(path.with_name(f"{path.stem}-vs-3.11.0-mem.svg"), path)
    assert not is_derived(path, path)
    assert not is_derived(PurePosixPath(str(path).replace("0000001.json", "00000012.json")), path)
    assert not is_derived(PurePosixPath("rerun-2", path.with_name(f"{path.stem}-vs-base.md")), path)


def test_rows_and_words() -> None:
    """What is not known of a result is left out of what is said of it."""
    plain = measured(file_of({"nbody": [1.0]}), path_of(1), suite="unknown", suite_version="unknown", mode="unknown")
    assert describe_row(plain.result).suite == ""
    full = measured(file_of({"nbody": [1.0]}), path_of(1), mode="fast", failed=({"name": "dask"},))
    described = describe_row(full.result, "http://lab.example/1")
    assert (described.suite, described.failed) == ("pyperformance 1.14.0, fast", ("dask",))
