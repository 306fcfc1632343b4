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


@contextmanager
def behind(near: Network) -> Iterator[str]:
    """Another namespace, whose only cable leads to the one of `near`; gives its name.

    Its address is 10.204.N.2, that of the other end 10.204.N.1, where N is the same as in `near`.
    """
    far, number = f"{near.namespace}far", near.address.split(".")[2]
    ip("netns", "add", far)
    try:
        ip("-n", near.namespace, "link", "add", "far0", "type", "veth", "peer", "name", "eth0", "netns", far)
        for argv in (
            (near.namespace, "address", "add", f"10.204.{number}.1/24", "dev", "far0"),
            (near.namespace, "link", "set", "far0", "up"),
            (far, "address", "add", f"10.204.{number}.2/24", "dev", "eth0"),
            (far, "link", "set", "eth0", "up"),
            (far, "link", "set", "lo", "up"),
        ):
            ip("-n", *argv)
        yield far
    finally:
        ip("netns", "delete", far)


def ip(*arguments: str) -> None:
    """Run `ip ARGUMENTS`."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=30)
