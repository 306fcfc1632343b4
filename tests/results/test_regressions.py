"""What is a regression, and what is noise."""

from collections.abc import Mapping

import msgspec
import pytest

from benchyard.results.compare import compare
from benchyard.results.noise import Floor
from benchyard.results.reading import Samples, Suite
from benchyard.results.regressions import Thresholds, find_regression


def suite(means: Mapping[str, float], unit: str = "second") -> Suite:
    """A result of twenty values a benchmark, each 1 % from its mean."""
    values = {name: tuple(mean * (1.01 if i % 2 else 0.99) for i in range(20)) for name, mean in means.items()}
    return Suite({}, {name: Samples(each, unit) for name, each in values.items()}, ())


QUIET = dict.fromkeys("abc", Floor(0.01, 1000, 1.0))
BASE = suite({"a": 1.0, "b": 2.0, "c": 3.0})


def test_nothing_is_slower() -> None:
    """The same again, and what has become faster, is no regression."""
    assert find_regression(compare(BASE, BASE), Thresholds()) is None
    assert find_regression(compare(BASE, suite({"a": 0.5, "b": 1.0, "c": 1.5})), Thresholds()) is None


def test_worst_comes_first() -> None:
    """Of what is slower by the threshold or more, the worst is first; the rest is not among it."""
    found = find_regression(compare(BASE, suite({"a": 1.1, "b": 2.5, "c": 3.1}), noise=QUIET), Thresholds())
    assert found is not None
    assert [change.name for change in found.slower] == ["b", "a"]
    assert found.slower[0].change == "1.25x slower"


def test_threshold_is_what_is_said() -> None:
    """A threshold of 10 % takes 11 %, and not 9 %."""
    limit = Thresholds(single=0.10, overall=10.0)
    assert find_regression(compare(suite({"a": 1.0}), suite({"a": 1.09}), noise=QUIET), limit) is None
    assert find_regression(compare(suite({"a": 1.0}), suite({"a": 1.11}), noise=QUIET), limit) is not None


def test_noise_that_is_not_known() -> None:
    """Then it takes twice as much of a time; bytes have no such noise."""
    limit = Thresholds(single=0.10, overall=10.0)
    assert find_regression(compare(suite({"a": 1.0}), suite({"a": 1.19})), limit) is None
    assert find_regression(compare(suite({"a": 1.0}), suite({"a": 1.21})), limit) is not None
    assert find_regression(compare(suite({"a": 1.0}, "byte"), suite({"a": 1.11}, "byte")), limit) is not None


def test_what_noise_makes_does_not_count() -> None:
    """Slower by no more than two runs of one interpreter differ there is none; slower than that is."""
    head = suite({"a": 1.08, "b": 2.0, "c": 3.0})
    assert find_regression(compare(BASE, head, noise={"a": Floor(0.10, 1000, 1.0)}), Thresholds()) is None
    found = find_regression(compare(BASE, head, noise={"a": Floor(0.02, 1000, 1.0)}), Thresholds())
    assert found is not None and [change.name for change in found.slower] == ["a"]


def test_values_that_differ_too_much_among_themselves() -> None:
    """A difference of means that is not significant is none."""
    wild = Suite({}, {"a": Samples((0.5, 1.6, 0.6, 1.7), "second")}, ())
    assert find_regression(compare(suite({"a": 1.0}), wild), Thresholds()) is None


def test_what_may_be_noise_does_not_count() -> None:
    """What pyperf calls significant, and is not to be believed after all benchmarks were looked at, is none."""
    quiet = suite({f"b{i}": 1.0 for i in range(40)}).benchmarks
    base = Suite({}, {**quiet, "wild": Samples((0.9, 1.0, 1.1, 1.2), "second")}, ())
    head = Suite({}, {**quiet, "wild": Samples((1.2, 1.3, 1.3, 1.4), "second")}, ())
    comparison = compare(base, head)
    change = comparison.benchmarks[-1]
    assert (change.name, change.significant, change.verdict) == ("wild", True, "same")
    assert change.ratio < 1.0 / 1.1
    assert find_regression(comparison, Thresholds()) is None


def test_what_does_not_count_is_none() -> None:
    """Benchmarks that were changed in between, and results that differ in more than the interpreter, show nothing."""

    def versions(found: Suite, version: str) -> Suite:
        return Suite({}, {n: msgspec.structs.replace(s, version=version) for n, s in found.benchmarks.items()}, ())

    head = suite({"a": 2.0, "b": 4.0, "c": 6.0})
    assert find_regression(compare(BASE, head), Thresholds()) is not None
    assert find_regression(compare(BASE, head, differences=["kernel 6.1 against 6.5"]), Thresholds()) is None
    assert find_regression(compare(versions(BASE, "1"), versions(head, "2")), Thresholds()) is None


def test_the_whole_is_of_what_counts() -> None:
    """What counts for nothing in the geometric mean does not hide that the others are slower."""
    names = [f"b{i}" for i in range(20)]
    base, head = suite(dict.fromkeys(names, 1.0)).benchmarks, suite(dict.fromkeys(names, 1.02)).benchmarks
    old, new = (Samples((mean, mean * 1.01) * 10, "second", version=f"of {mean}") for mean in (1.0, 0.1))
    comparison = compare(Suite({}, {**base, "changed": old}, ()), Suite({}, {**head, "changed": new}, ()))
    found = find_regression(comparison, Thresholds())
    assert found is not None and found.overall is not None and found.overall.n == 20


def test_all_are_a_little_slower() -> None:
    """Many benchmarks that are each slower by 2 % are a regression on the whole, with none of them named."""
    names = [f"b{i}" for i in range(20)]
    head = suite(dict.fromkeys(names, 1.02))
    found = find_regression(compare(suite(dict.fromkeys(names, 1.0)), head), Thresholds())
    assert found is not None and found.slower == ()
    assert found.overall is not None and found.overall.change == "1.02x slower"


def test_one_outlier_is_not_the_whole() -> None:
    """A single benchmark that is very slow moves the geometric mean, and is told alone."""
    names = [f"b{i}" for i in range(20)]
    head = suite({**dict.fromkeys(names, 1.0), "b0": 2.0})
    found = find_regression(compare(suite(dict.fromkeys(names, 1.0)), head), Thresholds())
    assert found is not None and [change.name for change in found.slower] == ["b0"]
    assert found.overall is None


def test_larger_is_a_regression_of_memory() -> None:
    """Bytes count as times do."""
    found = find_regression(compare(suite({"a": 1e6}, "byte"), suite({"a": 1.2e6}, "byte")), Thresholds())
    assert found is not None and found.slower[0].change == "1.20x larger"


@pytest.mark.parametrize("single", [0.01, 0.05, 0.5])
def test_order_of_the_sides(single: float) -> None:
    """Where the head is a regression of the base, the base is none of the head."""
    base, head = suite({"a": 1.0, "b": 2.0}), suite({"a": 2.1, "b": 2.0})
    assert find_regression(compare(base, head), Thresholds(single)) is not None
    assert find_regression(compare(head, base), Thresholds(single)) is None
    assert msgspec.json.encode(find_regression(compare(base, head), Thresholds(single)))
