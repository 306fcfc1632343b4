"""The hierarchical performance test, held against scipy's tests and a plain form of the method."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchyard.results.overall import (
    ALPHA,
    Reliability,
    bands_of,
    confidence_at,
    critical_count,
    hierarchical_test,
)

Sample = Sequence[float] | np.ndarray[tuple[Any, ...], np.dtype[np.float64]]
Pairs = Sequence[tuple[Sample, Sample]]

_LOGARITHMS = st.lists(st.floats(-1.0, 1.0, width=32), min_size=2, max_size=14, unique=True)


def test_of(pairs: Pairs, noise: float = 0.0) -> Reliability:
    """The test of samples of logarithms."""
    return hierarchical_test(bands(pairs, noise))


test_of.__test__ = False  # type: ignore[attr-defined]


def bands(pairs: Pairs, noise: float = 0.0) -> "np.ndarray[tuple[Any, ...], np.dtype[np.float64]]":
    """What step 1 makes of samples in any order."""
    return bands_of([(np.sort(base), np.sort(head)) for base, head in pairs], [noise] * len(pairs))


def plain_confidence(pairs: Pairs, shift: float) -> float:
    """The method in its plain form, step by step, with scipy's tests."""
    differences = []
    for base, head in pairs:
        moved = np.array(head) + shift
        size = min(len(base), len(head))
        method = "exact" if size < 12 else "asymptotic"
        p = stats.mannwhitneyu(base, moved, alternative="two-sided", method=method).pvalue
        differences.append(float(np.median(base) - np.median(moved)) if p <= ALPHA else 0.0)
    n = len(differences)
    ranks = stats.rankdata(np.abs(differences))
    total = sum(
        rank if difference > 0 else rank / 2 if difference == 0 else 0
        for rank, difference in zip(ranks, differences, strict=True)
    )
    return float(stats.norm.cdf((total - n * (n + 1) / 4) / math.sqrt(n * (n + 1) * (2 * n + 1) / 24)))


@pytest.mark.parametrize("sizes", [(20, 20), (20, 12), (5, 5), (3, 9), (11, 40)])
def test_one_benchmark_is_the_rank_sum_test(sizes: tuple[int, int]) -> None:
    """The shifts at which a benchmark is tied are those at which scipy's test sees no difference."""
    random = np.random.default_rng(7)
    base, head = random.normal(0.0, 1.0, sizes[0]), random.normal(0.5, 1.0, sizes[1])
    ((_, low, high),) = bands([(base, head)])
    method = "exact" if min(sizes) < 12 else "asymptotic"
    seen = set()
    for shift in np.linspace(-4.0, 3.0, 141):
        p = stats.mannwhitneyu(base, head + shift, alternative="two-sided", method=method).pvalue
        assert (low <= shift <= high) == (p > ALPHA), shift
        seen.add(p > ALPHA)
    assert seen == {True, False}


@given(st.integers(2, 11), st.integers(2, 11))
@settings(deadline=None)
def test_small_samples_are_exact(one: int, other: int) -> None:
    """The critical count is the largest that scipy's exact distribution gives a two-tailed 5 %."""
    count = critical_count(one, other)
    apart = np.arange(one) + 100.0
    assert (count >= 0) == (stats.mannwhitneyu(apart, np.arange(other), method="exact").pvalue <= ALPHA)


@pytest.mark.parametrize(("one", "other", "count"), [(5, 5, 2), (8, 8, 13), (10, 10, 23), (5, 9, 7), (3, 3, -1)])
def test_published_critical_values(one: int, other: int, count: int) -> None:
    """Of the tables of Mann and Whitney's U, two-tailed 5 % (Milton, J. Am. Stat. Assoc. 59, 1964, 925-934)."""
    assert critical_count(one, other) == count == critical_count(other, one)


def test_many_benchmarks_are_the_plain_method() -> None:
    """With 25 benchmarks or more the confidence is that of the method step by step, at any shift."""
    random = np.random.default_rng(3)
    pairs = [(random.normal(0.0, 0.01, 20), random.normal(-0.004, 0.01, random.integers(12, 30))) for _ in range(60)]
    table = bands(pairs)
    for shift in (-0.02, -0.003, 0.0, 0.001, 0.004, 0.02):
        assert confidence_at(table, shift) == pytest.approx(plain_confidence(pairs, shift), abs=1e-12), shift


def test_few_benchmarks_are_the_exact_signed_rank_test() -> None:
    """With fewer the distribution of the signed ranks is the exact one: all of 5 positive is 1 of 32."""
    random = np.random.default_rng(5)
    pairs = [(random.normal(shift, 0.001, 20), random.normal(0.0, 0.001, 20)) for shift in (0.1, 0.2, 0.3, 0.4, 0.5)]
    assert test_of(pairs).faster == pytest.approx(1.0 - 1.0 / 32.0)
    pairs[0] = (pairs[0][1], pairs[0][0])
    differences = [float(np.median(base) - np.median(head)) for base, head in pairs]
    p = stats.wilcoxon(differences, alternative="greater", method="exact").pvalue
    assert test_of(pairs).faster == pytest.approx(1.0 - p)


def test_speedup_at_a_reliability() -> None:
    """A head that is 5 % faster throughout is so with certainty, and by nearly that at each level; the other way round
    it is slower by the same.
    """
    random = np.random.default_rng(11)
    pairs = [(random.normal(math.log(1.05), 0.002, 20), random.normal(0.0, 0.002, 20)) for _ in range(50)]
    found = test_of(pairs)
    assert found.faster > 0.999999 and found.change == "faster with a reliability of over 99.9 %"
    assert found.at_90 is not None and found.at_95 is not None and found.at_99 is not None
    assert 1.045 < found.at_99 <= found.at_95 <= found.at_90 < 1.055
    table = bands(pairs)
    assert confidence_at(table, math.log(found.at_95)) >= 0.95 > confidence_at(table, math.log(found.at_95) + 1e-3)
    back = test_of([(head, base) for base, head in pairs])
    assert back.change == "slower with a reliability of over 99.9 %"
    assert back.faster < 1e-6 and back.at_95 == pytest.approx(1.0 / found.at_95, rel=1e-6)


def test_nothing_is_reliable_where_nothing_differs() -> None:
    """Results of one distribution are filtered in step 1, and the confidence is near a half: no claim of any level."""
    random = np.random.default_rng(13)
    claims = 0
    for _ in range(200):
        pairs = [(random.normal(0.0, 1.0, 20), random.normal(0.0, 1.0, 20)) for _ in range(80)]
        found = test_of(pairs)
        claims += max(found.faster, 1.0 - found.faster) >= 0.90
        assert (found.at_90 is None) == (found.faster < 0.90 and 1.0 - found.faster < 0.90)
    assert claims <= 10


def test_within_the_noise_is_a_tie() -> None:
    """What all benchmarks have in common within the host's noise is no reliable change; beyond it, it is."""
    random = np.random.default_rng(17)
    pairs = [(random.normal(0.01, 0.001, 20), random.normal(0.0, 0.001, 20)) for _ in range(50)]
    assert test_of(pairs).faster > 0.99
    assert test_of(pairs, noise=0.02).faster == pytest.approx(0.5)
    assert test_of(pairs, noise=0.02).change == "neither faster nor slower reliably"
    assert test_of(pairs, noise=0.005).faster > 0.99


def test_what_all_have_in_common_is_left_out() -> None:
    """A shift of all by no more than good hosts have between two runs is no reliable change; one beyond it is as
    reliable as what remains of it, both ways.
    """
    random = np.random.default_rng(19)
    pairs = [(random.normal(0.0015, 0.0005, 20), random.normal(0.0, 0.0005, 20)) for _ in range(50)]
    back = [(head, base) for base, head in pairs]
    assert test_of(pairs).faster > 0.99 and test_of(back).faster < 0.01
    for table in (bands(pairs), bands(back)):
        found = hierarchical_test(table, common=0.002)
        assert (found.faster, found.at_90) == (0.5, None)
        assert hierarchical_test(table, common=0.001).at_90 is not None
    table = bands(pairs)
    assert hierarchical_test(table, common=0.001).faster == confidence_at(table, 0.001)
    assert hierarchical_test(bands(back), common=0.001).faster == pytest.approx(confidence_at(bands(back), -0.001))


@given(st.lists(st.tuples(_LOGARITHMS, _LOGARITHMS), min_size=1, max_size=30))
@settings(deadline=None, max_examples=60)
def test_sides_are_alike(pairs: Pairs) -> None:
    """Changing the sides turns faster into slower, as surely, and no speedup is beyond what was seen."""
    one, other = test_of(pairs), test_of([(head, base) for base, head in pairs])
    assert one.faster + other.faster == pytest.approx(1.0)
    furthest = max(abs(float(np.median(base) - np.median(head))) for base, head in pairs)
    for ratio in (one.at_90, one.at_95, one.at_99, other.at_90):
        assert ratio is None or abs(math.log(ratio)) <= furthest + 1e-9


def test_ties_are_nobodys() -> None:
    """Where no benchmark differs neither side is the faster; and few are as sure of the one as of the other."""
    same = np.linspace(-0.01, 0.01, 20)
    for n in (1, 2, 24, 25):
        found = test_of([(same, same)] * n)
        assert (found.faster, found.change) == (0.5, "neither faster nor slower reliably")
    for n, surely in ((1, 0.5), (3, 0.875), (5, 1.0 - 1.0 / 32.0)):
        assert test_of([(same, same - 0.1)] * n).faster == pytest.approx(surely)
        assert test_of([(same, same + 0.1)] * n).faster == pytest.approx(1.0 - surely)


def test_nothing_to_test() -> None:
    """No benchmark at all is the caller's mistake."""
    with pytest.raises(ValueError, match="no benchmark to test"):
        hierarchical_test(np.empty((0, 3)))


def test_many_values_have_a_bound() -> None:
    """The pairs of 100,000 values with as many others would not fit into memory; quantiles tell the same of them."""
    random = np.random.default_rng(3)
    base = random.normal(0.0, 0.02, 100_000)
    few = test_of([(base[:200], base[:200] - 0.05)])
    assert test_of([(base, base - 0.05)]).faster == pytest.approx(few.faster)
