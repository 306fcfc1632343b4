"""What else differs between two results, and results that are kept at hand."""

import csv
import io
import json
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import pytest

from benchyard.results.compare import compare
from benchyard.results.differences import Conditions, compare_rows, conditions_of, find_differences, find_marks
from benchyard.results.errors import ResultError
from benchyard.results.exports import comparison_csv, comparison_report
from benchyard.results.kept import KeptSuites
from benchyard.results.markdown import Described
from benchyard.results.reading import read_suite

MakeFile = Callable[..., bytes]


class Row(msgspec.Struct, frozen=True):
    """What is known of a result."""

    host: str | None = "quiet-1"
    epoch: int | None = 1
    suite: str | None = "pyperformance"
    suite_version: str | None = "1.14.0"
    mode: str | None = "default"
    grade: str | None = "A"
    grade_reasons: tuple[str, ...] = ()
    fingerprint: dict[str, Any] | None = None
    fingerprint_id: str | None = None


def differences(head: Row, base: Row = Row(), metadata: Mapping[str, str] = {}) -> tuple[str, ...]:  # noqa: B008
    """What differs between a usual result and another one."""
    return find_differences(conditions_of(base, {"hostname": "q"}), conditions_of(head, metadata))


@pytest.mark.parametrize(
    ("head", "metadata", "found"),
    [
        (Row(), {}, ()),
        (Row(host="quiet-2"), {}, ("host quiet-1 against quiet-2",)),
        (Row(host=None), {"hostname": "q"}, ()),
        (Row(host=None), {"hostname": "r"}, ("host q against r",)),
        (Row(suite_version="1.13.0"), {}, ("suite version 1.14.0 against 1.13.0",)),
        (Row(suite_version="unknown", suite="unknown", grade=None, epoch=None), {}, ()),
        (Row(grade="B"), {}, ("grade A against B",)),
        (Row(epoch=2), {}, ("epoch 1 against 2",)),
    ],
)
def test_each_difference_is_named(head: Row, metadata: dict[str, str], found: tuple[str, ...]) -> None:
    """What is known of both and differs is said in words; what is not known differs from nothing."""
    assert differences(head, metadata=metadata) == found


def test_conditions_of_the_host() -> None:
    """Within an epoch they are the same; otherwise each that differs is named, and how a run was isolated is none."""
    one = {"kernel": "6.1", "governor": "performance", "mitigations": {"spectre": "on"}, "isolation": "cpuset"}
    other = {"kernel": "6.5", "governor": "", "mitigations": {"spectre": "off"}, "isolation": "affinity"}
    base, head = Row(fingerprint={"host": one}), Row(fingerprint={"host": other})
    assert differences(head, base) == ()
    later = msgspec.structs.replace(head, epoch=2)
    assert differences(later, base) == ("kernel 6.1 against 6.5", "mitigations differ")
    long = Row(epoch=2, fingerprint={"host": {"kernel": "x" * 500 + "\n"}})
    (said,) = differences(long, base)
    assert len(said) < 100 and "\n" not in said


def test_fingerprints_of_other_tools() -> None:
    """Of what is known by an id alone it is said that it differs, unless the host does anyway, or more is known."""
    base, head = (Row(epoch=None, fingerprint_id=f"portal:{id}") for id in ("42d6dd4409cb", "b2cf916db80e"))
    assert differences(base, base) == ()
    assert differences(head, base) == ("fingerprint portal:42d6dd4409cb against portal:b2cf916db80e",)
    assert differences(msgspec.structs.replace(head, fingerprint_id=None), base) == ()
    elsewhere = msgspec.structs.replace(head, host="quiet-2")
    assert differences(elsewhere, base) == ("host quiet-1 against quiet-2",)
    known = [msgspec.structs.replace(row, fingerprint={"host": {"kernel": "6.1"}}) for row in (base, head)]
    assert differences(known[1], known[0]) == ()


def test_the_state_of_the_suite() -> None:
    """bench_runner tells the state of its suites by a hash."""
    sides = [
        conditions_of(Row(epoch=None, fingerprint_id=f"benchmarks:{name}"), {"benchmark_hash": name})
        for name in ("ac5fd1", "31b33d")
    ]
    assert find_differences(*sides) == ("benchmark hash ac5fd1 against 31b33d",)


def test_disturbed_results_are_marked() -> None:
    """Grade C is told of each side, with the reasons, also where both have it."""
    disturbed = Conditions(grade="C", grade_reasons=("disturbed: nbody", "not pinned"))
    assert find_differences(disturbed, disturbed) == ()
    assert find_marks(disturbed, disturbed) == (
        "base is of grade C: disturbed: nbody; not pinned",
        "head is of grade C: disturbed: nbody; not pinned",
    )
    assert find_marks(Conditions(grade="B"), Conditions()) == ()


def test_another_mode_is_marked_and_counts(make_file: MakeFile) -> None:
    """What was measured in another mode is said to be; it is the same benchmark, so it counts all the same."""
    suite = read_suite(make_file({"nbody": [0.9, 1.0, 1.1]}))
    for other, said in (
        ("fast", ("mode default against fast: the one has fewer values than the other",)),
        ("unknown", ()),
    ):
        found = compare_rows((Row(), suite), (Row(mode=other), suite))
        assert (found.marks, found.differences) == (said, ())
        assert found.geometric_mean is not None and found.geometric_mean.n == 1
        report = comparison_report(found, base=Described(title="a"), head=Described(title="b"))
        assert ("mode" in report) is bool(said)


def test_benchmarks_of_other_versions_do_not_count(make_file: MakeFile) -> None:
    """A benchmark that was changed in between is shown, and left out of all that is overall unless asked for."""

    def suite(version: str) -> Any:
        document = json.loads(make_file({"a": [1.0, 1.1, 1.2], "b": [1.0, 1.1, 1.2]}))
        document["benchmarks"][0]["metadata"]["version"] = version
        return read_suite(json.dumps(document).encode())

    found = compare(suite("1"), suite("2"))
    assert [(row.differences, row.counted) for row in found.benchmarks] == [
        (("version 1 against 2",), False),
        ((), True),
    ]
    assert found.geometric_mean is not None and found.reliability is not None
    assert (found.geometric_mean.n, found.geometric_mean.of, found.counts.same) == (1, 2, 1)
    asked = compare(suite("1"), suite("2"), include_different=True)
    assert asked.geometric_mean is not None and asked.geometric_mean.n == 2


def test_results_are_kept(make_file: MakeFile) -> None:
    """A result is read once; those not asked for longest go, and what cannot be read is not kept."""
    data = {name: make_file({name: [1.0, 1.1]}) for name in "abc"}
    read: list[str] = []
    kept = KeptSuites(2)

    def find(name: str) -> None:
        found = kept.find(name, lambda: read.append(name) or read_suite(data[name]))  # type: ignore[func-returns-value]
        assert found.suite == read_suite(data[name]) and list(found.measured.benchmarks) == [name]

    for name in "aabacab":
        find(name)
    assert read == ["a", "b", "c", "b"]
    with pytest.raises(ResultError):
        kept.find("bad", lambda: read_suite(b"{}"))
    assert [name for name in (*data, "bad") if name in kept] == ["a", "b"]


def test_results_are_kept_for_several_threads(make_file: MakeFile) -> None:
    """Threads that ask at once all get what they asked for, and no more is kept than may be."""
    data = {str(n): make_file({f"b{n}": [1.0 + n, 1.1 + n]}) for n in range(6)}
    kept, wrong = KeptSuites(3), []

    def ask() -> None:
        for _ in range(30):
            for name in data:
                found = kept.find(name, partial(read_suite, data[name]))
                if list(found.suite.benchmarks) != [f"b{name}"]:
                    wrong.append(name)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong and sum(name in kept for name in data) == 3


def test_csv_is_whole(make_file: MakeFile) -> None:
    """Names with commas and quotes come back, numbers are as they were, and nothing unknown is made up."""
    suite = read_suite(make_file({'odd, "name"': [1.0 / 3.0]}))
    text = comparison_csv([("1", "main@quiet-1", compare(suite, suite))])
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["benchmark"] == 'odd, "name"' and row["head"] == "main@quiet-1"
    assert float(row["base_mean"]) == 1.0 / 3.0
    assert (row["base_stdev"], row["p"], row["verdict"], row["noise"]) == ("", "", "unknown", "")


def test_words_of_others_are_no_markup(make_file: MakeFile) -> None:
    """What a host or a file says of itself cannot become a link or a mention in an issue."""
    suite = read_suite(make_file({"a": [1.0, 1.1, 1.2]}))
    modes = (Conditions(mode=mode) for mode in ("![x](http://y) @all", "fast: <i>"))
    marks = ["base is of grade C: <b>", *find_marks(*modes)]
    found = compare(suite, suite, differences=["kernel @all against [x](http://y)"], marks=marks)
    text = comparison_report(found, base=Described(title="one"), head=Described(title="two"))
    assert not any(markup in text for markup in ("<b>", "<i>", "](http://y)", "@all"))
    assert "\n- <code>mode" in text and "\n- <code>base" in text
    assert "Different besides the interpreter: <code>kernel" in text
