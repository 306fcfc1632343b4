"""What is kept of calibrations, and the noise of hosts."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.store import calibrations, epochs, results, trashed
from benchyard.store.rows import Calibration, Job, Noise, Result

Calibrate = Callable[..., Calibration]


@pytest.fixture
def add_result(conn: sa.Connection, make_job: Callable[..., Job]) -> Callable[..., Result]:
    """`add_result(now, kernel=..., mode=...)`: a result of host sulaco in its epoch."""

    def add(now: float, kernel: str = "6.1", mode: str = "fast") -> Result:
        job = make_job(conn, kind="calibrate")
        values: dict[str, Any] = {"target": job.target, "interpreter": {"id": "ab"}, "commit": None, "branch": None}
        values |= {"version": "3.14.0", "flags": (), "suite": "pyperformance", "suite_version": "1.14.0"}
        values |= {"path": f"p/{job.id}", "sha256": f"{job.id:064}", "size": 1, "benchmarks": 1, "mode": mode}
        row = results.add_result(conn, now=now, who="lab", job_id=job.id, attempt=1, host="sulaco", **values)
        epochs.place_result(
            conn, row.id, fingerprint={"kernel": kernel}, host_fingerprint=kernel, measured=now, now=now
        )
        return results.get_result(conn, row.id)

    return add


@pytest.fixture
def calibrate(conn: sa.Connection, add_result: Callable[..., Result]) -> Calibrate:
    """`calibrate(now, mean)`: a calibration of host sulaco."""

    def make(now: float, mean: float = 1.0, **given: str) -> Calibration:
        made = calibrations.add_calibration(conn, add_result(now, **given), {"nbody": (mean, "second")})
        assert made is not None
        return made

    return make


def noise(benchmark: str, floor: float, epoch: int = 1) -> Noise:
    return Noise("sulaco", epoch, benchmark, floor, 5, 1.0, "second", 9.0)


def test_kept_once(conn: sa.Connection, add_result: Callable[..., Result]) -> None:
    """A calibration is kept once, however often its result is stored; one without an epoch is not."""
    row = add_result(1.0)
    assert calibrations.add_calibration(conn, row, {"nbody": (1.0, "second")}) is not None
    assert calibrations.add_calibration(conn, row, {"nbody": (1.0, "second")}) is None
    assert calibrations.last_calibrated(conn, "sulaco", 1) == (1, 1.0)
    made = results.new_result(conn, now=1.0, who="a", owner="a", host="h", target=None, commit=None, branch=None)
    assert calibrations.add_calibration(conn, made, {}) is None


def test_earlier_ones_of_a_series(conn: sa.Connection, calibrate: Calibrate) -> None:
    """Those count that have measured the same in the same epoch, before it, and whose results count."""
    first, second, third = (calibrate(now, mean) for now, mean in ((1.0, 1.0), (2.0, 1.1), (3.0, 1.2)))
    calibrate(4.0, mode="default")
    last = calibrate(5.0, 1.3)
    assert calibrations.earlier_calibrations(conn, last) == (first, second, third)
    assert calibrations.earlier_calibrations(conn, last, since=2.0) == (second, third)
    assert calibrations.earlier_calibrations(conn, second) == (first,)
    results.enable_result(conn, first.result_id, False, now=6.0, who="ada")
    trashed.trash_result(conn, second.result_id, now=6.0, who="ada")
    assert calibrations.earlier_calibrations(conn, last) == (third,)
    assert calibrations.earlier_calibrations(conn, calibrate(7.0, kernel="6.8")) == ()


def test_only_the_newest_are_looked_at(conn: sa.Connection, calibrate: Calibrate) -> None:
    """However long a host goes on, so many calibrations are looked back at."""
    made = [calibrate(float(now)) for now in range(calibrations.LOOK_BACK + 3)]
    assert calibrations.earlier_calibrations(conn, made[-1]) == tuple(made[2:-1])


def test_noise_is_replaced(conn: sa.Connection) -> None:
    """Each benchmark has one floor per epoch, the newest; others stay as they are."""
    calibrations.put_noise(conn, "sulaco", 1, [noise("nbody", 0.01), noise("2to3", 0.02)])
    calibrations.put_noise(conn, "sulaco", 1, [noise("nbody", 0.03)])
    calibrations.put_noise(conn, "sulaco", 2, [noise("nbody", 0.04, 2)])
    assert calibrations.noise_of(conn, "sulaco", 1) == {"2to3": noise("2to3", 0.02), "nbody": noise("nbody", 0.03)}
    assert calibrations.noise_of(conn, "sulaco", 2) == {"nbody": noise("nbody", 0.04, 2)}
    assert calibrations.noise_of(conn, "sulaco", None) == {}
    assert calibrations.last_calibrated(conn, "sulaco", 2) == (0, None)
