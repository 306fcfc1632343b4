"""Where requests come from."""

import pytest
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.web.test.requesthelper import DummyRequest

from benchyard.access.origin import client_address, is_same_site

URL = "https://lab.example/"


class Request(DummyRequest):  # type: ignore[misc]
    """A request to an address of this machine's."""

    to = IPv4Address("TCP", "127.0.0.1", 8010)

    def getHost(self) -> IPv4Address:
        return self.to


def request(address: object = None, **headers: str) -> Request:
    made = Request([])
    made.client = address or IPv4Address("TCP", "192.0.2.1", 1)
    for name, value in headers.items():
        made.requestHeaders.setRawHeaders(name.replace("_", "-"), [value])
    return made


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({}, True),
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "cross-site", "origin": "https://lab.example"}, False),
        ({"sec_fetch_site": "something new"}, False),
        ({"origin": "https://lab.example"}, True),
        ({"origin": "https://LAB.example:443"}, True),
        ({"origin": "http://lab.example"}, False),
        ({"origin": "https://lab.example:8443"}, False),
        ({"origin": "https://lab.example.evil.example"}, False),
        ({"origin": "https://evil.example", "referer": "https://lab.example/"}, False),
        ({"origin": "null"}, False),
        ({"origin": "null", "host": ""}, False),
        ({"origin": "https://[::1", "host": "lab.example"}, False),
        ({"origin": "http://localhost:8010", "host": "localhost:8010"}, True),
        ({"origin": "http://localhost:8010", "host": "localhost:8011"}, False),
        ({"origin": "http://evil.example", "host": "lab.example"}, False),
        ({"referer": "https://lab.example/#/builders"}, True),
        ({"referer": "https://evil.example/https://lab.example/"}, False),
    ],
)
def test_is_same_site(headers: dict[str, str], ours: bool) -> None:
    """The browser's word counts most, then the origin, then the referer; who sends none of them is no browser."""
    assert is_same_site(request(**headers), URL) is ours


def test_client_address() -> None:
    """A proxy is believed where it is on this machine, about the one who spoke to it; nobody else is."""
    proxy = IPv4Address("TCP", "127.0.0.1", 1)
    assert client_address(request()) == "192.0.2.1"
    assert client_address(request(x_forwarded_for="198.51.100.7")) == "192.0.2.1"
    assert client_address(request(proxy)) == "127.0.0.1"
    assert client_address(request(proxy, x_forwarded_for="1.1.1.1, 198.51.100.7")) == "198.51.100.7"
    assert client_address(request(UNIXAddress("/x"))) == "local"


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_client_address_where_the_lab_listens_on_one_address(address: str) -> None:
    """A proxy on this machine comes from that address, too; people are told apart there as well."""
    for client in (address, "192.0.2.1"):
        made = request(IPv4Address("TCP", client, 1), x_forwarded_for="198.51.100.7")
        made.to = IPv4Address("TCP", address, 8010)
        assert client_address(made) == ("198.51.100.7" if client == address else client)
