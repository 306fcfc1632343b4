"""Measurements: what each benchmark of a result gave, and the samples of the result, packed.

All of it is in the result's file as well, and can be made again from there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from benchyard.store.rows import Measurement, Result
from benchyard.store.sql import page_size, to_row
from benchyard.store.tables import measurements, results, samples

#: How the names of files with values end.
WITH_VALUES = (".json", ".json.gz")


def add_measurements(
    conn: sa.Connection, result_id: int, rows: Sequence[Mapping[str, Any]], packed: bytes, *, new: bool = False
) -> None:
    """Keep what a result's file says, in the transaction that gives the result its file.

    What was there is replaced, unless the result is known to be `new`. `rows` have the columns of a Measurement but for
    the result, one for each benchmark; `packed` are the samples.
    """
    if not new:
        forget_measurements(conn, result_id)
    if rows:
        conn.execute(sa.insert(measurements), [{"result_id": result_id, **row} for row in rows])
    conn.execute(sa.insert(samples).values(result_id=result_id, packed=packed))


def measurements_of(conn: sa.Connection, result_id: int) -> tuple[Measurement, ...]:
    """Return what the benchmarks of a result gave, by name; nothing where that is not known yet."""
    where = measurements.c.result_id == result_id
    rows = conn.execute(sa.select(measurements).where(where).order_by(measurements.c.benchmark)).mappings()
    return tuple(to_row(Measurement, row) for row in rows)


def samples_of(conn: sa.Connection, result_ids: Sequence[int]) -> dict[int, bytes]:
    """Return the packed samples of results, by id; those that are not known yet are left out."""
    if not result_ids:
        return {}
    rows = conn.execute(sa.select(samples).where(samples.c.result_id.in_(result_ids)))
    return {row.result_id: bytes(row.packed) for row in rows}


def forget_measurements(conn: sa.Connection, result_id: int) -> None:
    """Remove what is kept of a result here."""
    for table in (measurements, samples):
        conn.execute(sa.delete(table).where(table.c.result_id == result_id))


def unmeasured(conn: sa.Connection, *, after: int = 0, anew: int = 0, limit: int = 100) -> tuple[Result, ...]:
    """Return results with values and a file whose samples are not here, by id, those above `after`.

    Those up to `anew` are returned whatever is here.
    """
    where = (
        results.c.id > after,
        sa.or_(*(results.c.path.endswith(end, autoescape=True) for end in WITH_VALUES)),
        results.c.status == "stored",
        sa.or_(results.c.id <= anew, ~sa.exists().where(samples.c.result_id == results.c.id)),
    )
    rows = conn.execute(sa.select(results).where(*where).order_by(results.c.id).limit(page_size(limit)))
    return tuple(to_row(Result, row) for row in rows.mappings())
