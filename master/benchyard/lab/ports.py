"""Which ports a lab listens on, and whether they are free."""

import socket
from collections.abc import Sequence

from benchyard.lab.errors import LabError

#: How many ports after the wanted one are tried.
TRIES = 100


def is_free(address: str, port: int) -> bool:
    """Whether nobody listens on this port of this address."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except (OSError, UnicodeError):
            return False
    return True


def check_address(address: str) -> None:
    """LabError unless `address` is one of this machine's, or stands for all of them."""
    if not is_free(address, 0):
        raise LabError(f"{address} is not an address of this machine; listen on one that is, or on 0.0.0.0")


def choose_port(address: str, wanted: int | None, usual: int, *, taken: Sequence[int] = ()) -> int:
    """The wanted port, or without a wish the first free one from the usual on; LabError if there is none."""
    if wanted is not None:
        if not is_free(address, wanted):
            raise LabError(f"port {wanted} on {address} is in use or not ours to use; choose another")
        return wanted
    for port in range(usual, usual + TRIES):
        if port not in taken and is_free(address, port):
            return port
    raise LabError(f"no port from {usual} to {usual + TRIES - 1} is free on {address}; name one")
