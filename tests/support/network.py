"""A network of two: this machine, and a namespace at the other end of a cable, without a route to anywhere else."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class NotPermitted(Exception):
    """A right that this machine withholds, not something that could be installed."""


class Network(NamedTuple):
    """A network namespace, the cable to it, and the address of this end."""

    namespace: str
    cable: str
    address: str

    def inside(self, *argv: str) -> list[str]:
        """The command that runs `argv` in the namespace."""
        return ["ip", "netns", "exec", self.namespace, *argv]

    def plug(self, how: str) -> None:
        """Set the cable `up` or `down`."""
        ip("link", "set", self.cable, how)


@contextmanager
def cabled() -> Iterator[Network]:
    """A namespace with one cable to this machine, and nothing else; NotPermitted where there can be none."""
    number = os.getpid() % 250
    net = Network(f"benchyard{number}", f"byard{number}", f"10.203.{number}.1")
    try:
        ip("netns", "add", net.namespace)
    except (OSError, subprocess.CalledProcessError) as exc:
        raise NotPermitted(f"network namespaces are not permitted here: {exc}") from exc
    try:
        ip("link", "add", net.cable, "type", "veth", "peer", "name", "eth0", "netns", net.namespace)
        ip("address", "add", f"{net.address}/24", "dev", net.cable)
        net.plug("up")
        for argv in (
            ("address", "add", f"10.203.{number}.2/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
        ):
            ip("-n", net.namespace, *argv)
        yield net
    finally:
        ip("netns", "delete", net.namespace)


def ip(*arguments: str) -> None:
    """Run `ip ARGUMENTS`."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=30)
