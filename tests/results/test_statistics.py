"""The statistics under a comparison."""

import statistics
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyperf._utils import is_significant, tdist95conf_level

from benchyard.results.statistics import differ as spreads_differ
from benchyard.results.statistics import geometric_mean, mean, spread_of, stdev, t_quantile, t_quantile_95

_TIMES = st.floats(1e-6, 1e3)


@given(st.lists(_TIMES, min_size=2, max_size=30))
def test_moments(values: list[float]) -> None:
    """Mean and deviation are those of the standard library."""
    assert mean(values) == pytest.approx(statistics.mean(values), rel=1e-12)
    assert stdev(values) == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-12)
    assert geometric_mean(values) == pytest.approx(statistics.geometric_mean(values), rel=1e-12)


def differ(base: Sequence[float], head: Sequence[float]) -> bool:
    """Whether these values differ significantly."""
    return spreads_differ(spread_of(base), spread_of(head))


def test_deviation_of_one_value() -> None:
    """One value has no deviation, which is not the same as a deviation of zero."""
    assert stdev([1.0]) is None
    assert stdev([1.0, 1.0]) == 0.0


def test_quantiles_are_pyperfs() -> None:
    """The table is pyperf's at each number of degrees of freedom."""
    for degrees in range(1, 1000):
        assert t_quantile_95(degrees) == tdist95conf_level(degrees), degrees


@given(st.integers(2, 40).flatmap(lambda n: st.tuples(*[st.lists(_TIMES, min_size=n, max_size=n)] * 2)))
def test_verdict_is_pyperfs(samples: tuple[list[float], list[float]]) -> None:
    """For samples of one size that vary, the verdict is pyperf's."""
    base, head = samples
    if len({*base}) > 1 and len({*head}) > 1:
        significant, score = is_significant(base, head)
        # At the very edge, the last bit of a sum decides.
        if abs(abs(score) - tdist95conf_level(2 * len(base) - 2)) > 1e-6:
            assert differ(base, head) == significant


def test_samples_of_different_sizes() -> None:
    """Where pyperf fails and calls any difference significant, the general formula decides."""
    with pytest.raises(ValueError, match="different number of values"):
        is_significant([1.0, 2.0], [1.0, 2.0, 3.0])
    # t = 0.5 / sqrt(0.8333 (1/2 + 1/3)) = 0.6, under 3.182; and t = 10 / the same = 12.
    assert not differ([1.0, 2.0], [1.0, 2.0, 3.0])
    assert differ([11.0, 12.0], [1.0, 2.0, 3.0])


def test_values_that_do_not_vary() -> None:
    """Without variance any difference is significant, and no difference is not."""
    assert not differ([1.0, 1.0], [1.0, 1.0])
    assert not differ([0.1] * 10, [0.1] * 3)
    assert differ([1.0, 1.0], [1.5, 1.5])


def test_one_value_each() -> None:
    """One value against one cannot be tested: as in pyperf, a difference counts."""
    assert differ([1.0], [1.5])
    assert not differ([1.0], [1.0])


def test_one_value_against_several() -> None:
    """One value against several can be tested, as the several have a variance."""
    assert differ([2.0], [1.0, 1.01, 0.99])
    assert not differ([1.02], [1.0, 1.01, 0.99])


@pytest.mark.parametrize("degrees", range(1, 31))
def test_any_quantile(degrees: int) -> None:
    """The quantiles for any probability are those of the published table where that has them."""
    assert t_quantile(0.975, degrees) == pytest.approx(t_quantile_95(degrees), abs=6e-4)
    assert t_quantile(0.5, degrees) == pytest.approx(0.0, abs=1e-9)


def test_quantiles_far_out() -> None:
    """Values of the same table at 0.999 (NIST/SEMATECH 1.3.6.7.2), and the normal distribution's three sigmas."""
    assert [round(t_quantile(0.999, degrees), 3) for degrees in (1, 2, 5, 10, 30)] == [
        318.309,
        22.327,
        5.893,
        4.144,
        3.385,
    ]
    assert t_quantile(0.99865, 1000) == pytest.approx(3.0, abs=1e-2)
