"""Hosts: the machines of a lab, and the collection `client.hosts`."""

from typing import Any, Literal

import msgspec

from benchyard.client.entities import Entity, Link, make_entity
from benchyard.client.errors import NotFound
from benchyard.client.paging import Pages

Role = Literal["worker", "isolated"]


class Host(Entity, frozen=True, kw_only=True):
    """A machine of the lab; role "worker" builds, "isolated" measures; status online, offline or busy."""

    name: str
    status: str = "offline"
    role: str = "worker"
    target: str | None = None
    address: str | None = None
    cpus: str | None = None
    enabled: bool = True

    def refresh(self) -> "Host":
        """Return the host as it is now."""
        return Hosts(self.link).get(self.name)


class WorkerAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker on a new host needs to reach its master; the secret is kept out of the repr."""

    name: str
    secret: str
    master_host: str
    master_port: int

    def __repr__(self) -> str:
        return f"WorkerAccess(name={self.name!r}, master={self.master_host}:{self.master_port})"

    def __rich_repr__(self) -> Any:
        yield "name", self.name
        yield "master", f"{self.master_host}:{self.master_port}"


class AddedHost(Entity, frozen=True, kw_only=True):
    """A new host and, told this once only, how its worker reaches the master."""

    host: Host
    worker: WorkerAccess


class Hosts:
    """The hosts of a lab."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def list(self) -> Pages[Host]:
        """Iterate over all hosts."""
        return Pages(Host, "/hosts", {}, self._link)

    def get(self, name: str) -> Host:
        """Return the host of this name; NotFound if there is none."""
        for host in self.list():
            if host.name == name:
                return host
        raise NotFound(f"host {name!r} does not exist")

    def add(
        self,
        name: str,
        *,
        role: Role,
        target: str,
        address: str,
        cpus: str | None = None,
    ) -> AddedHost:
        """Tell the lab of a machine; the answer holds the secret of its worker, which is not told again."""
        body = {"name": name, "role": role, "target": target, "address": address}
        if cpus is not None:
            body["cpus"] = cpus
        document = self._link.api.post("/hosts", body)
        added = make_entity(AddedHost, document, self._link)
        added.host.__dict__.update(link_=self._link, document_=document["host"])
        return added
