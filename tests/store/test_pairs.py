"""Which results the lab compares by itself."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from measuredlab import MeasuredLab

from benchyard.store import jobs, results
from benchyard.store.pairs import pair_in_series, pairs_of

VALUES = {"nbody": (1.0, 1.1)}


@pytest.fixture
def lab(tmp_path: Path) -> MeasuredLab:
    """What a lab has measured."""
    return MeasuredLab(tmp_path)


def nightly(lab: MeasuredLab, conn: sa.Connection, **given: Any) -> Any:
    """A result of the schedule `nightly`."""
    return lab.measured(conn, VALUES, **{"origin": "nightly", "reason": "schedule nightly", "owner": "lab", **given})


def job_of(conn: sa.Connection, result: Any) -> Any:
    return jobs.get_job(conn, result.job_id)


def test_base_and_head(conn: sa.Connection, lab: MeasuredLab) -> None:
    """Whichever of the two ends last finds the other; before, there is nothing to compare."""
    base = lab.job(conn)
    head = lab.job(conn, base_job=base.id)
    one = lab.result(conn, head, VALUES)
    assert pairs_of(conn, head) == []
    other = lab.result(conn, base, VALUES)
    assert pairs_of(conn, head) == pairs_of(conn, base) == [(other, one)]
    results.enable_result(conn, other.id, False, now=1.0, who="ada")
    assert pairs_of(conn, head) == []


def test_the_one_before(conn: sa.Connection, lab: MeasuredLab) -> None:
    """A nightly result is compared with the last one of its schedule that was measured alike and is not disabled."""
    first = nightly(lab, conn)
    assert pair_in_series(conn, job_of(conn, first)) is None
    second = nightly(lab, conn)
    assert pair_in_series(conn, job_of(conn, second)) == (first, second)
    third = nightly(lab, conn)
    results.enable_result(conn, second.id, False, now=1.0, who="ada")
    assert pair_in_series(conn, job_of(conn, third)) == (first, third)


@pytest.mark.parametrize(
    "other",
    [
        {"host": "another"},
        {"branch": "3.15"},
        {"branch": None},
        {"flags": ("pgo",)},
        {"suite_version": "1.13.0"},
        {"mode": "default"},
        {"target": "macos"},
        {"machine": "another kernel"},
        {"reason": "schedule weekly"},
        {"origin": "rest"},
        {"commit": "the same"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_is_not_alike(conn: sa.Connection, lab: MeasuredLab, other: dict[str, Any]) -> None:
    """Of another host, branch, build, suite, mode, target, epoch or series it says nothing; nor of one interpreter."""
    nightly(lab, conn, **other)
    second = nightly(lab, conn, **({"commit": "the same"} if "commit" in other else {}))
    assert pair_in_series(conn, job_of(conn, second)) is None


def test_what_people_ask_for(conn: sa.Connection, lab: MeasuredLab) -> None:
    """A job that somebody has submitted is compared with what they say, not with the one before."""
    lab.measured(conn, VALUES, reason="x")
    assert pair_in_series(conn, job_of(conn, lab.measured(conn, VALUES, reason="x"))) is None
