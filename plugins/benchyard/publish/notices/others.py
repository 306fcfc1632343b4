"""What people are told of hosts that are stopped, and of uploads that a destination does not take."""

import hashlib

import sqlalchemy as sa

from benchyard.publish.notices.facts import Fact
from benchyard.publish.notices.words import MOST_LINES, Draft, described, draft, graded, measured, table
from benchyard.results.units import format_percent, format_value
from benchyard.store import calibrations, hosts, results, users
from benchyard.store.rows import Calibration


def host_quarantined(conn: sa.Connection, fact: Fact, *, targets: dict[str, str], link: str) -> Draft:
    """A host gets no jobs any more; `targets` are those of the hosts. Admins are told, since they let it out again."""
    change, name = fact.change.change, fact.id
    reason = str(change.get("reason") or "quarantined")
    host = hosts.find_host(conn, name)
    lines = [f"host {name} gets no jobs any more: {reason}"]
    run = calibrations.newest_calibration(conn, name, before=fact.change.time)
    if run is not None:
        lines += ["", *_against_usual(conn, run)]
    if host is not None and host.enabled:
        lines += ["", "It has been enabled since."]
    lines += ["", f"When it is well: benchyard host enable {name}", link]
    return draft(
        fact.kind,
        fact.key,
        f"host {name} {reason}",
        lines,
        time=fact.change.time,
        target=targets.get(name),
        users=users.admins(conn),
        host=name,
        reason=reason,
        result=run.result_id if run is not None else None,
    )


def _against_usual(conn: sa.Connection, run: Calibration) -> list[str]:
    """The means of a calibration beside what is usual for its host, the furthest off first."""
    usual = calibrations.noise_of(conn, run.host, run.epoch)
    known = [(name, mean, unit, usual[name]) for name, (mean, unit) in run.means.items() if name in usual]
    known.sort(key=lambda item: -abs(item[1] / item[3].center - 1.0))
    rows = [
        (
            name,
            f"{format_value(row.center, unit)} -> {format_value(mean, unit)}: "
            f"{format_percent(mean / row.center - 1.0, sign=True)} (noise {format_percent(row.floor)})",
        )
        for name, mean, unit, row in known[:MOST_LINES]
    ]
    return [f"what is usual there, and calibration result {run.result_id}:", *table(rows)] if rows else []


def upload_refused(conn: sa.Connection, fact: Fact, *, link: str) -> Draft | None:
    """A destination refuses a result, or it was given up; its owner and the admins are told, once for the same words.

    None where the destination has said just this of another result within a day: one wrong setting refuses them all.
    """
    change = fact.change.change
    destination, words = str(change["destination"]), str(change.get("words") or "no word why")
    result = results.get_result(conn, int(change["result"]))
    said = hashlib.sha256(f"{destination} {change['state']} {words}".encode()).hexdigest()[:16]
    day = int(fact.change.time // 86400)
    withdrawing = change.get("action") == "withdraw"
    what = f"to take back result {result.id}" if withdrawing else f"result {result.id}"
    verb = "refuses" if change["state"] == "refused" else "did not take"
    lines = [
        f"{destination} {verb} {what}: {words}",
        "",
        f"result {result.id}: {described(result)} on {result.host}, {graded(result)}",
        "",
        "all that is outstanding: benchyard result uploads",
        f"once it is mended: benchyard result upload {result.id} --to {destination}",
        f"Other results that {destination} says the same of today are not told one by one.",
        link,
    ]
    return draft(
        fact.kind,
        f"upload_refused:{destination}:{said}:{day}",
        f"{destination} {verb} {what} ({measured(result)}): {words}",
        lines,
        time=fact.change.time,
        target=result.target,
        users=(result.owner, *users.admins(conn)),
        destination=destination,
        result=result.id,
        state=change["state"],
        words=words,
    )
