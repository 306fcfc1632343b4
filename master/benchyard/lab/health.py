"""Whether a lab works: its process, its web server, its hosts."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchyard import daemon
from benchyard.config.settings import Settings
from benchyard.lab.paths import LabPaths

HEALTH_PATH = "plugins/benchyard/api/v1/health"


@dataclass(frozen=True)
class Health:
    """What was found: the supervisor's process, what the master answered, and which of its hosts are connected.

    `stale` are lanes of which nothing comes any more: there the lab works, and somebody is to look why.
    """

    url: str
    pid: int | None
    answered: bool
    all_connected: bool = False
    hosts: dict[str, bool] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=dict)
    uploads: dict[str, int] = field(default_factory=dict)
    stale: tuple[dict[str, Any], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return self.pid is not None and self.answered and self.all_connected

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of these hosts that are known not to be connected; whom the lab tells nothing knows of none."""
        return [name for name in names if not self.hosts.get(name, True)]

    def trouble(self) -> str:
        """What is not well, in words."""
        if self.pid is None:
            return "it is not running"
        if not self.answered:
            return f"its master does not answer at {self.url}"
        missing = ", ".join(self.missing(self.hosts)) or "some hosts"
        return "nothing" if self.all_connected else f"not connected: {missing}"


def look(paths: LabPaths, settings: Settings, token: str | None = None) -> Health:
    """The health of a lab of this host; takes no longer than a few seconds.

    A lab that strangers may not read says only with a token which hosts and jobs there are, and what is stale.
    """
    pid = daemon.running(paths.lock)
    answer = _ask(own_url(settings), token) if pid is not None else {}  # else it would be another lab that answers
    hosts = {host["name"]: host["connected"] for host in answer.get("hosts", [])}
    counts: dict[str, Any] = {"jobs": answer.get("jobs", {}), "uploads": answer.get("uploads", {})}
    counts["stale"] = tuple(answer.get("stale", ()))
    return Health(settings.lab.url, pid, bool(answer), answer.get("status") == "ok", hosts, **counts)


def own_url(settings: Settings) -> str:
    """Where the lab answers on its own machine, whatever its address is for others."""
    listen = settings.lab.listen
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(listen, f"[{listen}]" if ":" in listen else listen)  # noqa: S104
    return f"http://{host}:{settings.lab.http_port}/"


def _ask(url: str, token: str | None) -> dict[str, Any]:
    """What the lab says of itself; to a stranger, where the token is no good any more."""
    try:
        answer = httpx.get(
            url + HEALTH_PATH, timeout=5.0, headers={"Authorization": f"Bearer {token}"} if token else {}
        )
        if token and answer.is_client_error:
            return _ask(url, None)
        answer.raise_for_status()
        return dict(answer.json())
    except (httpx.HTTPError, ValueError):
        return {}
