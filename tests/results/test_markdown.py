"""Comparisons and results as Markdown: right by the values, and harmless whatever is in the names."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from benchyard.results.compare import compare
from benchyard.results.markdown import (
    Described,
    code,
    comparison_markdown,
    description_lines,
    headline,
    result_markdown,
)
from benchyard.results.noise import Floor
from benchyard.results.reading import Samples, Suite, read_suite
from benchyard.results.text import change_text, summary_text

COMMIT = "49918f5b0ceb1950c3222fd4fd6be872d2e15c6f"
NASTY = (
    "a|b",
    "`tick`",
    "``",
    "<img src=x onerror=alert(1)>",
    "<!-- x",
    "</code>|",
    "**bold** _it_",
    "[x](http://example.org)",
    "![x](y)",
    "@somebody",
    "#12",
    "back\\slash\\|",
    "two\nlines\n# title",
    "&lt;b&gt;",
    "tab\there",
    "end\\",
    "~~gone~~",
    "é|ü",
    "$x$",
    "\u202eturned",
)


def parsed(text: str) -> list[Token]:
    """The tokens of a document as a renderer has them, those in lines as well; tables are known."""
    tokens: list[Token] = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        tokens += [token, *(token.children or ())]
    return tokens


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a document, as rows of what their cells show."""
    found: list[list[list[str]]] = []
    shown: str | None = None
    for token in parsed(text):
        match token.type:
            case "table_open":
                found.append([])
            case "tr_open":
                found[-1].append([])
            case "td_open" | "th_open":
                shown = ""
            case "td_close" | "th_close":
                found[-1][-1].append(str(shown))
                shown = None
            case "text" | "code_inline" | "text_special" if shown is not None:
                shown += token.content
    return found


def suite(**means: float) -> Suite:
    """A suite of benchmarks with five values each close to a mean."""
    return Suite(
        metadata={},
        benchmarks={
            name: Samples(tuple(mean * (1 + step / 1000) for step in (-2, -1, 0, 1, 2)), "second")
            for name, mean in means.items()
        },
        valueless=(),
    )


def test_real_files(real_files: tuple[Path, ...], unpack: Callable[[Path], bytes]) -> None:
    """Each benchmark of two real results has a row with what the comparison says, and no other is there."""
    base, head = read_suite(unpack(real_files[0])), read_suite(unpack(real_files[-1]))
    found = compare(base, head)
    described = Described(title="result 2", commit=COMMIT, host="sulaco")
    _facts, values = tables(comparison_markdown(found, base=described, head=described))
    assert values[0] == ["benchmark", "base", "head", "change"]
    by_name = {row[0]: row[1:] for row in values[1:]}
    assert len(by_name) == len(values) - 1 > 80
    for change in found.benchmarks:
        assert by_name[change.name] == [summary_text(change.base), summary_text(change.head), change_text(change)]
    mean = found.geometric_mean
    assert mean is not None
    assert headline(found).startswith(f"{mean.change}, geometric mean of ")


def test_order_and_counts() -> None:
    """The worst change is first, the best last of those to be believed, the others follow; all are counted."""
    base = suite(same=1.0, noisy=1.0, slower=1.0, slowest=1.0, faster=1.0, missing=1.0)
    head = suite(same=1.0, noisy=1.02, slower=1.3, slowest=2.0, faster=0.5, added=1.0)
    found = compare(base, head, noise={"noisy": Floor(0.05, 1000, 1.0)})
    text = comparison_markdown(found, base=Described(title="result 1"), head=Described(title="result 2"))
    _facts, values = tables(text)
    assert [(row[0], row[3]) for row in values[1:]] == [
        ("slowest", "2.00x slower"),
        ("slower", "1.30x slower"),
        ("faster", "2.00x faster"),
        ("noisy", "within noise (5.0 %)"),
        ("same", "not significant"),
    ]
    assert found.geometric_mean is not None
    mean = found.geometric_mean.change
    assert text.startswith(
        f"**{mean}**, geometric mean of 5 of 7 benchmarks: 1 faster, 2 slower, 2 without a difference\n"
    )
    assert "\nOnly in base: `missing`\n" in text
    assert "\nOnly in head: `added`\n" in text


def test_what_nobody_knows_is_not_unchanged() -> None:
    """Single values of both sides are told to be neither changed nor not."""
    found = compare(Suite({}, {"a": Samples((1.0,), "second")}, ()), Suite({}, {"a": Samples((2.0,), "second")}, ()))
    assert headline(found).endswith(": 0 faster, 0 slower, 0 without a difference, 1 not known")


def test_units() -> None:
    """Words are those of the unit; of several units they are neither; what has another unit is named."""

    def sized(unit: str, *values: float) -> Samples:
        return Samples(values, unit)

    base = Suite({}, {"a": sized("byte", 100, 101, 99), "b": sized("second", 1, 2)}, ())
    head = Suite({}, {"a": sized("byte", 200, 201, 199), "b": sized("byte", 1, 2)}, ())
    found = compare(base, head)
    assert (
        headline(found)
        == "2.00x larger, geometric mean of 1 of 2 benchmarks: 0 smaller, 1 larger, 0 without a difference"
    )
    assert "Measured in different units: `b`\n" in comparison_markdown(found, base=Described(), head=Described())
    mixed = compare(
        Suite({}, {"a": base.benchmarks["a"], "b": sized("second", 1, 1.01)}, ()),
        Suite({}, {"a": head.benchmarks["a"], "b": sized("second", 0.5, 0.51)}, ()),
    )
    assert headline(mixed).endswith("of 2 benchmarks: 1 better, 1 worse, 0 without a difference")


def test_nothing_in_common() -> None:
    """Two results without a common benchmark are told so, with what each has."""
    found = compare(suite(a=1.0), suite(b=1.0))
    text = comparison_markdown(found, base=Described(), head=Described())
    assert text.startswith("Nothing to compare")
    assert "Only in base: `a`" in text
    assert "Only in head: `b`" in text


def test_facts() -> None:
    """What was measured stands beside the base's; what neither has is left out, the commit leads to where it is."""
    base = Described(title="result 11", commit=COMMIT, host="bench1", grade="A", suite="pyperformance 1.14.0, fast")
    head = Described(
        title="result 12",
        link="http://lab.example/#/buildrequests/3?a=b c",
        repository="https://github.com/python/cpython.git",
        commit="b" * 40,
        ref="refs/pull/12/head",
        patch="c" * 64,
        version="3.16.0a0",
        flags=("jit", "lto"),
        host="bench2",
        grade="B",
        reasons=("a virtual machine", "37 threads | cannot be moved"),
        failed=("dask",),
    )
    text = comparison_markdown(compare(suite(a=1.0), suite(a=1.0)), base=base, head=head)
    facts, _values = tables(text)
    assert facts == [
        ["", "base", "head"],
        ["result", "result 11", "result 12"],
        ["commit", COMMIT[:10], "b" * 10],
        ["ref", "", "refs/pull/12/head"],
        ["patch", "", "c" * 10],
        ["version", "", "3.16.0a0"],
        ["flags", "", "jit, lto"],
        ["host", "bench1", "bench2"],
        ["grade", "A", "B: a virtual machine; 37 threads | cannot be moved"],
        ["suite", "pyperformance 1.14.0, fast", ""],
        ["failed", "", "dask"],
    ]
    links = [dict(token.attrs)["href"] for token in parsed(text) if token.type == "link_open"]
    assert links == [
        "http://lab.example/#/buildrequests/3?a=b%20c",
        f"https://github.com/python/cpython/commit/{'b' * 40}",
    ]
    assert description_lines(base)[0] == "- result: `result 11`"


def test_other_conditions() -> None:
    """What differs besides the interpreter is named, and there is no ratio of the whole; it is harmless, too."""
    one, words = suite(a=1.0, b=1.0), ("host bench1 against <b>", "suite version 1.13.0 against 1.14.0")
    found = compare(one, one, differences=words)
    assert headline(found) == "Not to be compared: more differs than the interpreter"
    text = comparison_markdown(found, base=Described(), head=Described())
    assert "\n\nDifferent besides the interpreter: <code>host" in text
    assert "`suite version 1.13.0 against 1.14.0`\n\n" in text and "<b>" not in text
    asked = comparison_markdown(
        compare(one, one, differences=words, include_different=True), base=Described(), head=Described()
    )
    assert asked.startswith("**no change**") and "Different besides the interpreter" in asked
    assert "Different" not in comparison_markdown(compare(one, one), base=Described(), head=Described())


def test_benchmarks_that_do_not_count() -> None:
    """The headline counts those that count: one that was changed in between is neither faster nor slower."""

    def versioned(mean: float, version: str) -> Suite:
        values = {"same": (1.0, 1.01, 0.99, 1.0), "changed": (mean, mean * 1.01, mean * 0.99, mean)}
        versions = {"same": "1", "changed": version}
        return Suite({}, {n: Samples(v, "second", version=versions[n]) for n, v in values.items()}, ())

    found = compare(versioned(1.0, "1"), versioned(9.0, "2"))
    assert found.benchmarks[0].verdict == "worse"
    assert (
        headline(found) == "no change, geometric mean of 1 of 2 benchmarks: 0 faster, 0 slower, 1 without a difference"
    )


@pytest.mark.parametrize("repository", ["https://example.org/a/b", "git@github.com:a/b", "javascript:x/y", ""])
def test_commit_elsewhere(repository: str) -> None:
    """A commit is no link where nobody knows how its repository shows commits."""
    lines = description_lines(Described(commit=COMMIT, repository=repository))
    assert lines == [f"- commit: `{COMMIT[:10]}`"]


@pytest.mark.parametrize("name", NASTY)
def test_names_are_no_markup(name: str) -> None:
    """Whatever a name has in it is shown as it is, in one cell, and is nothing else."""
    found = Suite({}, {name: Samples((1.0, 2.0), "second"), "other": Samples((1.0,), "second")}, ())
    described = Described(title=name, ref=name, host=name, reasons=(name,), grade="B", failed=(name,))
    text = (
        result_markdown(found, described)
        + "\n"
        + comparison_markdown(compare(found, found), base=described, head=described)
    )
    shown = " ".join("".join(char if char.isprintable() else " " for char in name).split())
    means, facts, values = tables(text)
    assert {row[0] for row in means} == {"benchmark", "other", shown}
    assert {row[0] for row in values} == {"benchmark", "other", shown}
    assert {len(row) for row in [*facts, *values]} == {3, 4}
    assert ["host", shown, shown] in facts
    kinds = {token.type for token in parsed(text)}
    assert not kinds & {
        "em_open",
        "strong_open",
        "s_open",
        "link_open",
        "image",
        "html_block",
        "heading_open",
        "fence",
    } - {
        "strong_open"  # of the geometric mean
    }
    assert {token.content for token in parsed(text) if token.type == "html_inline"} <= {"<code>", "</code>"}


@given(st.text(max_size=200))
def test_any_name(name: str) -> None:
    """In a table, in a list and in a line of its own any text is one code span, or tags of code around plain text."""
    span = code(name)
    assert "\n" not in span
    for text in (f"| a | b |\n| --- | --- |\n| {span} | x |\n", f"- {span}\n", f"{span} x\n"):
        kinds = {token.type for token in parsed(text)}
        assert kinds <= {
            *("table_open", "table_close", "thead_open", "thead_close", "tbody_open", "tbody_close"),
            *("tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close", "inline", "text", "text_special"),
            *("bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"),
            *("paragraph_open", "paragraph_close", "code_inline", "html_inline"),
        }
        assert {t.content for t in parsed(text) if t.type == "html_inline"} <= {"<code>", "</code>"}
    # GitHub makes no mention, number or address a link inside of code.
    outside = re.sub(r"`[^`]*`|<code>[^<]*</code>", "", span)
    assert outside == ""


@given(
    st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=60, unique=True),
    st.integers(min_value=400, max_value=20_000),
)
def test_limit(names: list[str], limit: int) -> None:
    """No document is larger than its limit, and one that was cut says so with a link; what is there are whole rows."""
    found = Suite({}, {name: Samples((1.0, 2.0), "second") for name in names}, ())
    described = Described(title="result 1", link="http://lab.example/1", failed=tuple(names))
    whole = comparison_markdown(compare(found, found), base=described, head=described)
    text = comparison_markdown(compare(found, found), base=described, head=described, limit=limit)
    assert len(text.encode()) <= limit
    if len(whole.encode()) <= limit:
        assert text == whole
    else:
        kept, _, said = text.rstrip("\n").rpartition("\n\n")
        assert whole.startswith(kept + "\n")
        left = sum(map(bool, whole.split("\n")[len(kept.split("\n")) :]))
        assert said == f"{left} more lines do not fit here; [all of it](http://lab.example/1)"
