"""Change points on series whose changes are known because they are made."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchyard.results import changepoints
from benchyard.results.changepoints import LEAST_POINTS, LEAST_STEP, WINDOW, find_changes, least_step


def series(seed: int, *levels: tuple[int, float], deviation: float = 0.007) -> list[float]:
    """So many points of each level, with noise of a usual host."""
    rng = np.random.default_rng(seed)
    logs = np.concatenate([np.full(points, math.log(level)) for points, level in levels])
    return [float(value) for value in np.exp(logs + rng.normal(0.0, deviation, len(logs)))]


@pytest.mark.parametrize("step", [0.05, -0.05, 0.10])
def test_finds_a_step(step: float) -> None:
    """A step of 5 % is found where it is, with its size and direction, and by the fourth point after it."""
    for seed in range(20):
        *_, change = find_changes(series(seed, (30, 1.0), (12, 1.0 + step)))
        assert abs(change.index - 30) <= 1
        assert change.found < 34
        assert change.step == pytest.approx(step, abs=0.02)
        assert change.after / change.before == pytest.approx(1.0 + change.step)
        assert change.sure >= changepoints.LEAST_SURE


def test_false_alarms_are_rare() -> None:
    """Of 200 series of 60 points without a change, at most 5 have one; 3 are usual."""
    assert sum(bool(find_changes(series(seed, (60, 1.0)))) for seed in range(200)) <= 5


def test_outliers_are_no_change() -> None:
    """One or two values far off are not another level."""
    for seed in range(8):
        values = series(seed, (40, 1.0))
        values[20] *= 1.5
        values[33] *= 0.7
        values[34] *= 0.7
        assert find_changes(values) == ()


def test_a_bad_run_hides_nothing() -> None:
    """What follows a single value that is far off is found as it would be without."""
    for seed in range(8):
        values = series(seed + 20, (30, 1.0), (6, 1.05))
        values[2] *= 1.6
        (change,) = find_changes(values)
        assert abs(change.index - 30) <= 1
        assert change.before == pytest.approx(1.0, rel=0.01)


def test_both_ways() -> None:
    """What becomes slower and then as fast as before has two changes, with the levels in between."""
    first, second = find_changes(series(1, (30, 1.0), (20, 1.1), (30, 1.0)))
    assert (first.index, second.index) == (30, 50)
    assert first.step > 0.0 > second.step
    assert second.before == pytest.approx(1.1, rel=0.01)


def test_small_steps_need_many_points() -> None:
    """A step as large as the noise is found as well, later."""
    found = [find_changes(series(seed, (40, 1.0), (40, 1.015))) for seed in range(20)]
    assert sum(len(changes) == 1 for changes in found) >= 18
    assert max(changes[0].found for changes in found if changes) > 44


def test_noise_floor_holds_small_steps_back() -> None:
    """Where two runs are known to differ by 10 %, a step of 3 % on a quiet stretch is none, one of 30 % is."""
    small = series(2, (30, 1.0), (4, 1.03), deviation=0.001)
    assert find_changes(small)
    assert find_changes(small, noise=0.10) == ()
    assert find_changes(series(2, (30, 1.0), (4, 1.3), deviation=0.001), noise=0.10)


def test_steps_below_the_least_are_none() -> None:
    """However steady a series is, less than half a percent is not worth anybody's time."""
    assert find_changes(series(3, (30, 1.0), (30, 1.0 + LEAST_STEP * 0.8), deviation=1e-5)) == ()
    assert find_changes(series(3, (30, 1.0), (30, 1.0 + LEAST_STEP * 1.2), deviation=1e-5))


def test_least_step() -> None:
    """Of two single points it is the noise floor; of many it is less, and never below the least."""
    assert least_step(0.04, 1, 1) == pytest.approx(0.04)
    assert least_step(0.04, 4, 4) == pytest.approx(0.02)
    assert least_step(0.04, 1000, 1000) == LEAST_STEP
    assert least_step(None, 3, 3) == LEAST_STEP


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 5, [1.0] * 50, [1e-9, 1e9] * 3])
def test_nothing_to_find(values: list[float]) -> None:
    """Few points, or such that do not vary, have no change."""
    assert find_changes(values) == ()


levels = st.lists(st.tuples(st.integers(1, 2 * WINDOW), st.floats(0.8, 1.25)), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(levels, st.integers(0, 2**32 - 1), st.sampled_from([0.001, 0.007, 0.03]), st.sampled_from([None, 0.02]))
def test_stable_as_points_are_added(
    made: list[tuple[int, float]], seed: int, deviation: float, noise: float | None
) -> None:
    """Whatever is appended, a change that was found stays just where and what it was."""
    values = series(seed, *made, deviation=deviation)
    whole = find_changes(values, noise=noise)
    for end in sorted({*range(0, len(values), 17), *(change.found + 1 for change in whole)}):
        assert find_changes(values[:end], noise=noise) == tuple(c for c in whole if c.found < end)


def test_windows_without_a_change_are_passed_over_rightly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not looked at has nothing in it: looking at all windows finds the same."""
    made = [series(seed, (150, 1.0), (100, 1.02), (120, 1.0), (90, 0.985)) for seed in range(5)]
    quick = [find_changes(values) for values in made]
    changepoints._changes.cache_clear()
    monkeypatch.setattr(changepoints, "_worth_a_look", lambda logs, _: np.ones(len(logs), dtype=bool))
    assert [find_changes(values) for values in made] == quick
    assert all(len(changes) >= 2 for changes in quick)


def test_scale_does_not_matter() -> None:
    """Nanoseconds and hours have the same changes."""
    values = series(4, (30, 1.0), (30, 1.05))
    assert [c.index for c in find_changes([v * 1e-9 for v in values])] == [c.index for c in find_changes(values)]


def test_without_ruptures() -> None:
    """Where the library is not there, it is named, with the remedy."""
    code = (
        "import sys; sys.modules['ruptures'] = None\n"
        "from benchyard.results.changepoints import find_changes\n"
        f"find_changes([1.0] * {2 * LEAST_POINTS})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "change points need the package ruptures" in done.stderr
