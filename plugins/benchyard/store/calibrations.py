"""Calibrations: what the lab has measured to know its hosts, and the noise floors that come of it.

Both are derived from results and can be made again from their files.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from benchyard.store.rows import Calibration, Noise, Result
from benchyard.store.sql import insert_once, to_row
from benchyard.store.tables import calibrations, noise, results

#: Calibrations of a series that are looked back at, the newest ones.
LOOK_BACK = 30


def series_of(result: Result) -> str:
    """What calibrations have in common that measure the same."""
    interpreter = (result.interpreter or {}).get("id", "")
    return f"{interpreter} {result.suite} {result.suite_version} {result.mode}"


def add_calibration(conn: sa.Connection, result: Result, means: dict[str, tuple[float, str]]) -> Calibration | None:
    """Keep the means of a calibration result; None if they are kept already, or the result has no epoch."""
    if result.epoch is None:
        return None
    made = Calibration(result.id, result.host, result.epoch, series_of(result), result.created, means)
    values = {field: getattr(made, field) for field in made.__struct_fields__}
    return made if insert_once(conn, calibrations, values, unique=["result_id"]) else None


def earlier_calibrations(
    conn: sa.Connection, calibration: Calibration, *, since: float | None = None
) -> tuple[Calibration, ...]:
    """Return those of its series before a calibration, made at `since` or later, whose results count; oldest first."""
    conditions = [
        calibrations.c.host == calibration.host,
        calibrations.c.epoch == calibration.epoch,
        calibrations.c.series == calibration.series,
        calibrations.c.result_id < calibration.result_id,
        *((calibrations.c.made >= since,) if since is not None else ()),
        results.c.status == "stored",
        results.c.enabled == sa.literal(True, results.c.enabled.type),
    ]
    joined = sa.select(calibrations).join(results, results.c.id == calibrations.c.result_id)
    newest = joined.where(*conditions).order_by(calibrations.c.result_id.desc()).limit(LOOK_BACK)
    found = [to_row(Calibration, row) for row in conn.execute(newest).mappings()]
    return tuple(reversed(found))


def newest_calibration(conn: sa.Connection, host: str, *, before: float) -> Calibration | None:
    """Return the last calibration of a host that was made until a time, or None."""
    where = (calibrations.c.host == host, calibrations.c.made <= before)
    newest = sa.select(calibrations).where(*where).order_by(calibrations.c.result_id.desc()).limit(1)
    row = conn.execute(newest).mappings().first()
    return None if row is None else to_row(Calibration, row)


def put_noise(conn: sa.Connection, host: str, epoch: int, floors: Iterable[Noise]) -> None:
    """Replace the noise of these benchmarks, all of one host and epoch; that of others stays."""
    for floor in floors:
        where = (noise.c.host == host, noise.c.epoch == epoch, noise.c.benchmark == floor.benchmark)
        conn.execute(sa.delete(noise).where(*where))
        conn.execute(sa.insert(noise).values({field: getattr(floor, field) for field in floor.__struct_fields__}))


def noise_of(conn: sa.Connection, host: str, epoch: int | None) -> dict[str, Noise]:
    """Return the noise of a host's benchmarks in an epoch, by their names in order; nothing where it is not known."""
    where = (noise.c.host == host, noise.c.epoch == epoch)
    rows = conn.execute(sa.select(noise).where(*where).order_by(noise.c.benchmark)).mappings()
    return {found.benchmark: found for found in (to_row(Noise, row) for row in rows)}


def last_calibrated(conn: sa.Connection, host: str, epoch: int | None) -> tuple[int, float | None]:
    """Return how many calibrations a host has in an epoch, and when the last was made."""
    where = (calibrations.c.host == host, calibrations.c.epoch == epoch)
    made = sa.select(sa.func.count(), sa.func.max(calibrations.c.made)).where(*where)
    number, last = conn.execute(made).one()
    return number, last
