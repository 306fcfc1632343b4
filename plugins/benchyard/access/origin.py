"""Where a request comes from: the lab's own pages or another site, and which address."""

import ipaddress
from typing import Any
from urllib.parse import SplitResult, urlsplit

_PORTS = {"http": 80, "https": 443}


def is_same_site(request: Any, lab_url: str) -> bool:
    """Whether a request that a browser sent with its session comes from the lab's own pages.

    By Sec-Fetch-Site, else by Origin, else by Referer, which must name the lab's URL or the host that was asked. A
    request with none of them was not sent by a browser, whose every cross-site POST and websocket bears an Origin, so
    nobody was tricked into it. The same order as in Go's net/http.CrossOriginProtection.
    """
    fetched = _header(request, b"sec-fetch-site").lower()
    if fetched:
        return fetched in {"same-origin", "none"}
    source = _header(request, b"origin") or _header(request, b"referer")
    if not source:
        return True
    origin = _place(source)
    if origin is None:
        return False
    scheme = urlsplit(source).scheme.lower()
    return origin in {_place(lab_url), _place(f"{scheme}://{_header(request, b'host')}")}


def client_address(request: Any) -> str:
    """The address a request comes from, as far as it can be trusted.

    A proxy on the master's own machine is believed about whom it speaks for: the last of X-Forwarded-For, which it
    wrote itself. It comes from a loopback address, or from the very one that it has connected to, where the lab
    listens on that alone.
    """
    address = str(getattr(request.getClientAddress(), "host", "local"))
    forwarded = _header(request, b"x-forwarded-for").rpartition(",")[2].strip()
    here = _is_loopback(address) or address == getattr(request.getHost(), "host", None)
    return forwarded if forwarded and here else address


def _header(request: Any, name: bytes) -> str:
    return (request.getHeader(name) or b"").decode("latin-1").strip()


def _place(url: str) -> tuple[str, int] | None:
    """(host, port) of a URL; None for "null" and for what is none. The scheme is left out: a proxy may change it."""
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme.lower())
    except ValueError:
        return None
    return (parts.hostname.lower(), port) if parts.hostname and port else None


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
