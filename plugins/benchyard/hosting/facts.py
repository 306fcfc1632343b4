"""What the settings say of the lab and its hosts, as the parts of a running master are told it."""

from urllib.parse import urlsplit

import msgspec


class HostFacts(msgspec.Struct, frozen=True):
    """What the settings say of a host."""

    name: str
    role: str
    target: str
    address: str
    cpus: str
    tune: bool = True
    shield: bool = True
    guard: str = "warn"
    guard_wait_s: float = 60.0
    ansible_user: str = ""
    connection: str = ""


class LabFacts(msgspec.Struct, frozen=True):
    """What the settings say of the lab, as far as the web needs it.

    All results stay for `keep_all_days`; with `prunes` the older ones are thinned out each night. With a
    `worker_certificate`, a file, workers are spoken to by TLS. With `own_playbooks`, those that come with benchyard are
    not used.
    """

    directory: str
    results: str
    title: str
    url: str
    targets: tuple[str, ...]
    hosts: tuple[HostFacts, ...]
    worker_port: int
    anonymous_read: bool
    trash_days: float
    keep_all_days: float = 730.0
    prunes: bool = False
    worker_certificate: str = ""
    own_playbooks: bool = False

    @property
    def worker_host(self) -> str:
        """Where workers reach the master: the host of the lab's own address."""
        return urlsplit(self.url).hostname or "localhost"
