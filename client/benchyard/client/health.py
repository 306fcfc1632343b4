"""The state of a lab in short: what `client.health()` returns."""

import msgspec

from benchyard.client.entities import Document


class HostHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a host's worker is connected to its master."""

    name: str
    role: str = ""
    connected: bool = False


class Health(Document, frozen=True, kw_only=True):
    """Status "ok" or "degraded", title and version; who is logged in gets hosts, jobs by status, and uploads by state.

    Of uploads, those that are outstanding; None where there are none.
    """

    status: str
    title: str = ""
    version: str = ""
    user: str | None = None
    hosts: tuple[HostHealth, ...] | None = None
    targets: tuple[str, ...] = ()
    jobs: dict[str, int] | None = None
    uploads: dict[str, int] | None = None
