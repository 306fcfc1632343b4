"""Which hosts are one machine: by their addresses, each of which may be spelled in several ways.

No name is looked up: that would keep the master waiting, and the answer may be another one tomorrow. So two names of
one machine count as two, unless it is the master's own. Of that its name is known, and the addresses of its network
cards. 127.0.0.2 and so on count as machines of their own: such hosts are behind a tunnel, or in a container.
"""

import ipaddress
import re
import socket

import psutil

#: What the master's own machine is called.
HERE = "localhost"

_LOOPBACK = frozenset({HERE, "localhost.localdomain", "ip6-localhost", "ip6-loopback", "127.0.0.1", "::1"})
_NUMBERS = re.compile(r"(0x[0-9a-f]+|[0-9]+)(\.(0x[0-9a-f]+|[0-9]+)){0,3}")


def machine_of(address: str) -> str:
    """What the addresses of one machine have in common, as far as that is known."""
    spelled = spelling(address)
    return HERE if _is_own(spelled) else spelled


def is_local(address: str) -> bool:
    """Whether an address is the master's own machine."""
    return machine_of(address) == HERE


def spelling(address: str) -> str:
    """The one spelling of an address: without capitals, a dot at its end, or what numbers may be written with."""
    text = address.strip().lower().rstrip(".").strip("[]")
    if _NUMBERS.fullmatch(text):
        try:
            return socket.inet_ntoa(socket.inet_aton(text))
        except OSError:
            return text
    try:
        number = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    mapped = number.ipv4_mapped if isinstance(number, ipaddress.IPv6Address) else None
    return str(mapped or number)


def _is_own(spelled: str) -> bool:
    if spelled in _LOOPBACK or spelled.endswith(".localhost"):
        return True
    name = spelling(socket.gethostname())
    if spelled in (name, name.partition(".")[0]):
        return True
    families = (socket.AF_INET, socket.AF_INET6)
    cards = psutil.net_if_addrs().values()
    return spelled in {spelling(entry.address) for card in cards for entry in card if entry.family in families}
