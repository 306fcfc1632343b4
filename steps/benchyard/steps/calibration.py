"""What a calibration says of its host: the noise floors, and whether the host still is what it was."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from benchyard.results.noise import drift_text, find_drift, noise_floors
from benchyard.store import calibrations, hosts, results
from benchyard.store.history import LAB
from benchyard.store.rows import Calibration, Noise

#: The mean of a run and its unit, by benchmark.
Means = dict[str, tuple[float, str]]


def run_means(measurements: Iterable[Mapping[str, Any]]) -> Means:
    """The means of a run, of what its benchmarks gave."""
    return {row["benchmark"]: (row["mean"], row["unit"]) for row in measurements}


def take_calibration(conn: sa.Connection, result_id: int, means: Means, *, now: float) -> list[str]:
    """Learn from a calibration result, in the transaction that adds it; returns what is to be told.

    The noise floors of its host are made anew, and a host that has drifted out of its own band is quarantined.
    """
    made = calibrations.add_calibration(conn, results.get_result(conn, result_id), means)
    if made is None:
        return []
    series = (*calibrations.earlier_calibrations(conn, made), made)
    calibrations.put_noise(conn, made.host, made.epoch, _noise(series, now))
    host = hosts.get_host(conn, made.host)
    usual = calibrations.earlier_calibrations(conn, made, since=host.band_since)
    drift = find_drift([_numbers(run.means) for run in usual], _numbers(means))
    if drift is None:
        return []
    reason = f"{drift_text(drift)} (result {result_id})"
    hosts.quarantine_host(conn, made.host, now=now, who=LAB, reason=reason)
    return [f"host {made.host} is quarantined: {reason}"]


def _noise(series: tuple[Calibration, ...], now: float) -> list[Noise]:
    units = {name: unit for run in series for name, (_mean, unit) in run.means.items()}
    floors = noise_floors([_numbers(run.means) for run in series])
    made = series[-1]
    return [
        Noise(made.host, made.epoch, name, floor.floor, floor.runs, floor.center, units[name], now)
        for name, floor in floors.items()
    ]


def _numbers(means: Mapping[str, tuple[float, str]]) -> dict[str, float]:
    return {name: number for name, (number, _unit) in means.items()}
