"""The connection: retries, errors, and that the token stays where it belongs."""

import socket
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

import httpx
import pytest

from benchyard.client import (
    Client,
    ClientError,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    TooMany,
    Unauthorized,
    Unavailable,
)

if TYPE_CHECKING:
    from tests.client.conftest import Clock
    from tests.client.lab_server import LabServer


@pytest.fixture
def closed_url() -> str:
    """An address at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_get_is_tried_again(client: Client, lab: "LabServer", server_module: ModuleType, status: int) -> None:
    """A GET that a proxy could not hand on is tried again, and the caller sees nothing of it."""
    lab.canned = [server_module.Answer(status)] * 3
    assert client.health().status == "ok"
    assert len(lab.seen) == 4


def test_get_is_tried_a_few_times_only(
    client: Client, lab: "LabServer", clock: "Clock", server_module: ModuleType
) -> None:
    """After four tries within a few seconds GET raises Unavailable."""
    lab.canned = [server_module.Answer(502, b"<html>Bad Gateway</html>")] * 9
    with pytest.raises(Unavailable, match="answered 502 Bad Gateway"):
        client.health()
    assert len(lab.seen) == 4
    assert 0 < clock.now < 5


def test_a_post_is_repeated_under_its_key(client: Client, lab: "LabServer") -> None:
    """A POST whose answer was lost is sent again with the same key, and made once; the next one has another key."""
    lab.lost = 2
    assert client.jobs.add("/opt/p").id == 1
    assert [*lab.jobs] == [1]
    client.jobs.add("/opt/p")
    keys = [seen.headers["idempotency-key"] for seen in lab.seen]
    assert len(keys) == 4 and keys[0] == keys[1] == keys[2] != keys[3]


def test_a_post_without_answer_is_in_doubt(client: Client, lab: "LabServer") -> None:
    """If no try of a POST is answered the error says that it may have been done."""
    lab.lost = 9
    with pytest.raises(Unavailable, match="it may have done what was asked"):
        client.jobs.add("/opt/p")
    assert len(lab.seen) == 4


def test_a_removal_whose_answer_was_lost_is_done(client: Client, lab: "LabServer") -> None:
    """That a thing is gone already is an error, unless it was this very request that removed it."""
    lab.add_job()
    lab.lost = 1
    client.jobs.remove(1)
    assert [seen.method for seen in lab.seen] == ["DELETE", "DELETE"]
    with pytest.raises(NotFound):
        client.jobs.remove(1)


@pytest.mark.parametrize("name", ["../jobs", "a/b", "a b?c#d", "%2e"])
def test_names_cannot_leave_their_place(client: Client, lab: "LabServer", name: str) -> None:
    """A name is one part of the address, whatever it holds."""
    with pytest.raises(NotFound):
        client.hosts.get(name)
    assert lab.seen[-1].path.startswith("/plugins/benchyard/api/v1/hosts/") and not lab.seen[-1].query
    assert "/" not in lab.seen[-1].path.partition("/hosts/")[2]


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_what_is_no_name_is_not_asked_for(client: Client, lab: "LabServer", name: str) -> None:
    """What an address would swallow is refused at once."""
    with pytest.raises(Invalid, match="is not a name"):
        client.users.get(name)
    assert not lab.seen


@pytest.mark.parametrize(("header", "seconds"), [("17", 17.0), ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0), ("soon", None)])
def test_too_many_tells_how_long(
    client: Client, lab: "LabServer", server_module: ModuleType, header: str, seconds: float | None
) -> None:
    """A 429 is a TooMany with the seconds to wait, from a number or a date, and is not tried again."""
    lab.canned = [server_module.Answer(429, b'{"detail": "slowly"}', headers={"Retry-After": header})]
    with pytest.raises(TooMany, match="slowly") as caught:
        client.jobs.get(1)
    assert caught.value.retry_after == seconds and len(lab.seen) == 1


def test_nobody_listens(connect: Callable[..., Client], clock: "Clock", closed_url: str) -> None:
    """An address at which nobody listens is an Unavailable that names it, after a few tries."""
    with pytest.raises(Unavailable, match=f"^no lab answers at {closed_url}$") as caught:
        connect(closed_url).health()
    assert caught.value.status is None
    assert len(clock.pauses) == 3


def test_a_silent_lab_is_given_up(connect: Callable[..., Client]) -> None:
    """A lab that takes the connection and never answers ends with Unavailable after the timeout."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unavailable, match="did not answer in time"):
            connect(url, timeout_s=0.05).health()


@pytest.mark.parametrize(("status", "kind"), [(401, Unauthorized), (403, Forbidden), (500, ServerError)])
def test_each_status_has_its_error(
    client: Client, lab: "LabServer", server_module: ModuleType, status: int, kind: type[ClientError]
) -> None:
    """The class of the error follows from the status, its message is the problem's detail on one line."""
    body = b'{"status": 0, "title": "t", "detail": "not\\nfor you"}'
    lab.canned = [server_module.Answer(status, body, "application/problem+json")]
    with pytest.raises(kind, match=r"^not for you$"):
        client.health()


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"[1]", b"\xff"])
def test_an_answer_that_is_no_lab_s(client: Client, lab: "LabServer", server_module: ModuleType, body: bytes) -> None:
    """An answer that is no JSON object is a ServerError that asks for the address."""
    lab.canned = [server_module.Answer(200, body)]
    with pytest.raises(ServerError, match="is it the address of a benchyard lab"):
        client.health()


def test_an_answer_of_another_shape(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """JSON that lacks what is needed is a ServerError that names the part."""
    lab.canned = [server_module.as_json({"id": "seven"})]
    with pytest.raises(ServerError, match=r"is not a Job.*id"):
        client.jobs.get(7)


def test_a_plain_web_server_is_told_apart(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """A 404 without a problem, as from any web server, asks for the address."""
    lab.canned = [server_module.Answer(404, b"<html>Not Found</html>")]
    with pytest.raises(ClientError, match="is it the address of a benchyard lab"):
        client.jobs.get(1)


def test_the_token_does_not_follow_a_redirect(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """A redirect is not followed, which would carry the token elsewhere; the error names the new address."""
    lab.canned = [server_module.Answer(302, headers={"Location": "https://lab.example/"})]
    with pytest.raises(ServerError, match=r"sends us to https://lab\.example/"):
        client.jobs.get(1)
    assert len(lab.seen) == 1


def test_the_token_is_in_the_header_only(client: Client, lab: "LabServer", server_module: ModuleType) -> None:
    """The token is sent as a bearer token, and is in no repr and no address."""
    client.jobs.get(lab.add_job())
    assert lab.seen[-1].headers["authorization"] == f"Bearer {server_module.TOKEN}"
    assert server_module.TOKEN not in repr((client, client.jobs, vars(client), client.jobs.get(1).link))
    assert server_module.TOKEN not in lab.seen[-1].path + str(lab.seen[-1].query)


def test_a_token_that_cannot_be_one_is_not_shown(lab: "LabServer") -> None:
    """A token with a line break is refused before the HTTP library could print it."""
    with pytest.raises(ClientError) as caught:
        Client(lab.url, token="sesame\r\nX-Other: 1")
    assert "sesame" not in str(caught.value)


def test_a_proxy_is_not_asked_for_loopback(lab: "LabServer", monkeypatch: pytest.MonkeyPatch, closed_url: str) -> None:
    """A proxy in the environment does not get what is meant for this host."""
    monkeypatch.setenv("HTTP_PROXY", closed_url)
    monkeypatch.setenv("NO_PROXY", "")
    with Client(lab.url, token="any") as client:
        assert client.health().title == "Test lab"


def test_any_transport_will_do() -> None:
    """The transport is the seam through which the client can be driven without a network."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/bench/plugins/benchyard/api/v1/health"
        return httpx.Response(200, json={"status": "degraded"})

    with Client("https://lab.example/bench/", token="any", transport=httpx.MockTransport(answer)) as client:
        health = client.health()
    assert health.status == "degraded" and health.hosts is None
