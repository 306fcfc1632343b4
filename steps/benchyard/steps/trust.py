"""How far a result can be trusted: from a run's report to the columns of its result, and to the epoch of its host."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from benchyard.results.errors import ResultError
from benchyard.store import epochs
from benchyard.store.rows import Attempt
from benchyard.tasks.host.fingerprint import Fingerprint
from benchyard.tasks.host.grade import Grade


class Trust(msgspec.Struct, frozen=True):
    """The part of a run's report that this is about; None in reports of hosts that do not know it yet."""

    grade: Grade | None = None
    fingerprint: Fingerprint | None = None
    started: float = 0.0


def trust_columns(report: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a result's row that say how far it can be trusted, and under which conditions it was measured."""
    trust = _read(report)
    found: dict[str, Any] = {}
    if trust.grade is not None:
        found |= {"grade": trust.grade.letter, "grade_reasons": trust.grade.reasons}
    if trust.fingerprint is not None:
        found |= {
            "fingerprint": msgspec.to_builtins(trust.fingerprint),
            "fingerprint_id": trust.fingerprint.id,
        }
    return found


def host_print_of(report: Mapping[str, Any]) -> str | None:
    """The id of the host's conditions, by which epochs are told; None where the report does not say."""
    fingerprint = _read(report).fingerprint
    return None if fingerprint is None else fingerprint.host.machine.id


def place_in_epoch(conn: sa.Connection, result_id: int, attempt: Attempt, *, now: float) -> epochs.Opened | None:
    """Put a result that was added into its host's epoch; returns the epoch if it is a new one."""
    trust = _read(attempt.report or {})
    if trust.fingerprint is None:
        return None
    machine = trust.fingerprint.host.machine
    return epochs.place_result(
        conn,
        result_id,
        fingerprint=msgspec.to_builtins(machine),
        host_fingerprint=machine.id,
        measured=trust.started,
        now=now,
    )


def _read(report: Mapping[str, Any]) -> Trust:
    try:
        return msgspec.convert(report, Trust)
    except msgspec.ValidationError as exc:
        raise ResultError(f"the run's report does not say how it was measured: {exc}") from exc
