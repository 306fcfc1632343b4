"""What each benchmark of a result gave, over REST."""

from collections.abc import Sequence
from typing import Any

import msgspec

from benchyard.access.roles import Role
from benchyard.store import results
from benchyard.store.measurements import measurements_of
from benchyard.store.rows import Measurement
from benchyard.web.calls import Call, Route
from benchyard.web.views import Page


class MeasurementView(msgspec.Struct, frozen=True):
    """What one benchmark gave in one result: `n` values in `unit`, reduced.

    `stdev` is null for a single value, `mad` the median of what the values are off their `median`. `memory` is the most
    that one of its processes had, in bytes, `version` the benchmark's own; null and empty where the file does not say.
    """

    name: str
    unit: str
    n: int
    mean: float
    stdev: float | None
    median: float
    mad: float
    minimum: float
    maximum: float
    memory: float | None
    version: str


async def list_measurements(call: Call, result_id: int) -> Page[MeasurementView]:
    """What each benchmark of a result gave, by name; nothing for a result without values."""
    return Page(tuple(map(_view, await call.jobs.db(_measured, result_id))))


def _measured(conn: Any, result_id: int) -> Sequence[Measurement]:
    """Its rows; NotFound for a result that there is not."""
    return measurements_of(conn, results.get_result(conn, result_id).id)


def _view(row: Measurement) -> MeasurementView:
    given = msgspec.structs.asdict(row)
    return MeasurementView(name=row.benchmark, **{name: given[name] for name in MeasurementView.__struct_fields__[1:]})


ROUTES = (
    Route(
        "GET",
        "/results/<int:result_id>/measurements",
        Role.VIEWER,
        list_measurements,
        Page[MeasurementView],
    ),
)
