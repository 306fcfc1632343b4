"""Which addresses are one machine."""

import socket

import psutil
import pytest

from benchyard.hosting.machines import HERE, is_local, machine_of, spelling


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("Bench.Example.", "bench.example"),
        ("10.0.0.9", "10.0.0.9"),
        ("10.9", "10.0.0.9"),
        ("0x0a000009", "10.0.0.9"),
        ("::ffff:10.0.0.9", "10.0.0.9"),
        ("2001:DB8:0:0::0001", "2001:db8::1"),
        ("bench-2", "bench-2"),
        ("1.2.3.4.5", "1.2.3.4.5"),
        ("10.0.0.999", "10.0.0.999"),
    ],
)
def test_spelling(address: str, same: str) -> None:
    """An address is one, however it is spelled; what is no number is a name."""
    assert spelling(address) == machine_of(address) == same
    assert not is_local(address)


@pytest.mark.parametrize(
    "address", ["localhost", "LocalHost.", "127.0.0.1", "127.1", "::1", "0:0:0:0:0:0:0:1", "a.localhost"]
)
def test_this_machine(address: str) -> None:
    """All that every machine calls itself is the master's own."""
    assert machine_of(address) == HERE and is_local(address)


def test_names_and_addresses_of_this_machine() -> None:
    """So are its name, with or without its domain, and the addresses of its network cards."""
    name = socket.gethostname()
    own = {entry.address for card in psutil.net_if_addrs().values() for entry in card if entry.family == socket.AF_INET}
    assert own
    for address in (name, name.upper() + ".", name.partition(".")[0], *own):
        assert machine_of(address) == HERE


def test_what_cannot_be_known() -> None:
    """No name is looked up, and a further address of the loopback is a machine of its own: behind a tunnel, say."""
    assert machine_of("localhost.example") == "localhost.example"
    assert not is_local("127.0.0.2")
