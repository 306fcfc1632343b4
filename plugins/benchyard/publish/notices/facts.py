"""What has happened that people are told of, as the history says.

Every fact is in the history by the transaction that made it so. Who follows the history from where it was left misses
none of them and sees none twice, whatever was killed in between; and nobody who makes a fact needs to know of notices.
"""

from typing import NamedTuple

from benchyard.store.rows import FINAL_JOB_STATUSES, Change


class Fact(NamedTuple):
    """One fact: the kind of its notice, what it is about, and the change that made it so."""

    kind: str
    id: str
    change: Change

    @property
    def key(self) -> str:
        """What the fact is known by, so that it is told once. A job ends once; other things may happen again."""
        return f"{self.kind}:{self.id}" if self.kind == "job_done" else f"{self.kind}:{self.id}:{self.change.id}"


def fact_of(change: Change) -> Fact | None:
    """The fact that a change of the history is; None for one that nobody is told of."""
    new = change.change
    match change.entity:
        case "job" if new.get("status") in FINAL_JOB_STATUSES:
            kind = "job_done"
        case "host" if new.get("quarantined") is not None:
            kind = "host_quarantined"
        case "upload" if new.get("state") in ("refused", "failed"):
            kind = "upload_refused"
        case _:
            return None
    return Fact(kind, change.entity_id, change)
