"""The noise of a host and its drift, on runs whose noise is known because they are made, and on real files."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchyard.results.noise import LEAST_BAND, LEAST_RUNS, drift_text, find_drift, noise_floors, robust_spread
from benchyard.results.reading import read_suite
from benchyard.results.statistics import mean

Run = dict[str, float]


def make_runs(
    rng: np.random.Generator, number: int, benchmarks: int, *, own: float = 0.01, common: float = 0.0
) -> list[Run]:
    """Runs of one interpreter: each benchmark has noise of its `own`, and all of a run have some in `common`."""
    logs = own * rng.standard_normal((number, benchmarks)) + common * rng.standard_normal((number, 1))
    return [{f"b{index}": 2.0 * math.exp(value) for index, value in enumerate(row)} for row in logs]


@pytest.fixture
def rng() -> np.random.Generator:
    """Chance that is the same each time."""
    return np.random.default_rng(20261122)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 20, 30])
def test_spread_has_no_bias(rng: np.random.Generator, n: int) -> None:
    """On average Qn is the standard deviation, also of few values: the factors are the published ones."""
    estimates = [robust_spread(row) for row in rng.standard_normal((4000, n))]
    assert float(np.mean(estimates)) == pytest.approx(1.0, abs=0.05)


def test_spread_bears_bad_values(rng: np.random.Generator) -> None:
    """Almost half of the values may be anything."""
    values = rng.standard_normal(21)
    values[:9] = 1e6
    assert robust_spread(values) < 10.0


@pytest.mark.parametrize("n", [LEAST_RUNS, 8, 12, 30])
def test_floor_covers(rng: np.random.Generator, n: int) -> None:
    """Of two further runs 95 of 100 lie within the floor, and not many more, however few runs it comes from."""
    within, total = 0, 0
    for _ in range(60):
        floors = noise_floors(make_runs(rng, n, 40, own=0.02))
        one, other = make_runs(rng, 2, 40, own=0.02)
        within += sum(
            abs(math.log(one[name] / other[name])) <= math.log1p(floor.floor) for name, floor in floors.items()
        )
        total += len(floors)
    assert 0.935 <= within / total <= 0.985


def test_floor_tells_runs_and_center(rng: np.random.Generator) -> None:
    """The floor of known noise is about 2.8 of its deviations; benchmarks of too few runs have none."""
    runs = make_runs(rng, 30, 1, own=0.01)
    for run in runs[: LEAST_RUNS - 1]:
        run["rare"] = 1.0
    floors = noise_floors(runs)
    assert list(floors) == ["b0"]
    assert floors["b0"].runs == 30
    assert floors["b0"].center == pytest.approx(2.0, rel=0.01)
    assert 0.018 < floors["b0"].floor < 0.042
    assert noise_floors([]) == {}


def test_values_that_do_not_vary() -> None:
    """Counts and sizes may be the same in each run: then there is no noise, and only a real change is a drift."""
    runs = [{"size": 100.0} for _ in range(LEAST_BAND)]
    assert noise_floors(runs)["size"].floor == 0.0
    assert find_drift(runs, {"size": 100.4}) is None
    assert find_drift(runs, {"size": 101.0}) is not None


@pytest.mark.parametrize("benchmarks", [1, 4, 12])
@pytest.mark.parametrize("common", [0.0, 0.01])
@pytest.mark.parametrize("n", [LEAST_BAND, 20])
def test_false_alarms_are_rare(rng: np.random.Generator, benchmarks: int, common: float, n: int) -> None:
    """A host that is well is stopped less than once in a hundred calibrations, however its benchmarks depend."""
    alarms = 0
    for _ in range(400):
        *earlier, new = make_runs(rng, n + 1, benchmarks, common=common)
        alarms += find_drift(earlier, new) is not None
    # 4 in 400 were expected at 1 %; 10 or more of them come by chance once in 130 tries.
    assert alarms < 10


def test_host_that_got_slower(rng: np.random.Generator) -> None:
    """A host that is 5 % slower in all it does is found, with by how much, and against which band."""
    *earlier, new = make_runs(rng, 13, 20)
    drift = find_drift(earlier, {name: value * 1.05 for name, value in new.items()})
    assert drift is not None
    assert drift.shift == pytest.approx(0.05, abs=0.01)
    assert 0.005 <= drift.band < 0.05
    assert (drift.runs, drift.of, len(drift.benchmarks)) == (12, 20, 5)
    assert drift_text(drift).startswith(f"off by {100 * drift.shift:+.1f} % against 12 calibrations, its band is ")


def test_host_of_which_a_part_changed(rng: np.random.Generator) -> None:
    """Where a few benchmarks of many change much, it is those that are named, the one that changed most first."""
    *earlier, new = make_runs(rng, 21, 20)
    for index, factor in enumerate((1.5, 0.8, 1.2, 1.3)):
        new[f"b{index}"] *= factor
    drift = find_drift(earlier, new)
    assert drift is not None
    assert drift.out == 4
    assert [name for name, _ in drift.benchmarks[:4]] == ["b0", "b3", "b1", "b2"]
    assert abs(drift.shift) < 0.01
    assert "4 of 20 benchmarks by themselves: b0 +5" in drift_text(drift)


def test_a_bad_calibration_spoils_no_band(rng: np.random.Generator) -> None:
    """The runs of a host that was off for a while do not widen what is usual for it."""
    earlier = make_runs(rng, 17, 20)
    for run in earlier[3:6]:
        run.update({name: value * 1.3 for name, value in run.items()})
    *before, new = earlier
    assert find_drift(before, new) is None
    assert find_drift(before, {name: value * 1.1 for name, value in new.items()}) is not None


def test_too_few_to_judge(rng: np.random.Generator) -> None:
    """Nobody is stopped by less than the runs that a band takes, nor for benchmarks that were not there before."""
    *earlier, new = make_runs(rng, LEAST_BAND, 3)
    assert find_drift(earlier, {name: 2 * value for name, value in new.items()}) is None
    assert find_drift(make_runs(rng, 20, 3), {"other": 1.0}) is None
    assert find_drift([], new) is None


def test_benchmark_that_is_missing_in_some_runs(rng: np.random.Generator) -> None:
    """A benchmark that failed now and then is judged by the runs that it has."""
    *earlier, new = make_runs(rng, 21, 12)
    for run in earlier[::2]:
        del run["b3"]
    assert find_drift(earlier, new) is None
    assert find_drift(earlier, {name: 1.1 * value for name, value in new.items()}) is not None


def test_real_files(real_files: tuple[Path, ...], unpack: Callable[[Path], bytes]) -> None:
    """What counts of a run is read from real pyperf files; shifting one by a third is a drift on its host."""
    suite = read_suite(unpack(real_files[0]))
    first = {name: mean(samples.values) for name, samples in suite.benchmarks.items()}
    assert len(first) > 50
    rng = np.random.default_rng(3)
    earlier = []
    for _ in range(10):  # the same file with values scattered by 1 %, as runs of one interpreter are
        document: dict[str, Any] = json.loads(unpack(real_files[0]))
        factor = math.exp(0.01 * rng.standard_normal())
        for benchmark in document["benchmarks"]:
            for run in benchmark["runs"]:
                if "values" in run:
                    run["values"] = [value * factor for value in run["values"]]
        again = read_suite(json.dumps(document).encode())
        earlier.append({name: mean(samples.values) for name, samples in again.benchmarks.items()})
    floors = noise_floors(earlier)
    assert floors.keys() == first.keys()
    assert all(0.005 < floor.floor < 0.15 for floor in floors.values())
    assert find_drift(earlier, first) is None
    assert find_drift(earlier, {name: value / 3 for name, value in first.items()}) is not None
