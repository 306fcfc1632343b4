"""The state of a lab in short: what `client.health()` returns."""

import msgspec

from benchyard.client.entities import Document


class HostHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a host's worker is connected to its master."""

    name: str
    role: str = ""
    connected: bool = False


class StaleLane(msgspec.Struct, frozen=True, kw_only=True):
    """A target, schedule or branch of which nothing has come for too long, in words, and since when."""

    text: str
    target: str | None = None
    since: str = ""


class Health(Document, frozen=True, kw_only=True):
    """Status "ok" or "degraded", title and version; who is logged in gets hosts, jobs by status, and uploads by state.

    Of uploads, those that are outstanding; None where there are none. `stale` are the lanes of which nothing comes any
    more, which makes no lab degraded.
    """

    status: str
    title: str = ""
    version: str = ""
    user: str | None = None
    hosts: tuple[HostHealth, ...] | None = None
    targets: tuple[str, ...] = ()
    jobs: dict[str, int] | None = None
    uploads: dict[str, int] | None = None
    stale: tuple[StaleLane, ...] = ()
