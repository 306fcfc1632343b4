"""Requests to real servers: what their answers mean, and that none takes longer than it may."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from receiver import Answer, Receiver, make_certificate, receiving

from benchyard.publish.destinations import Refused, TryLater
from benchyard.publish.http import LONGEST_WORDS, Http, accepted, one_line

Spin = Callable[..., Any]


@pytest.fixture
def post(spin: Spin, receiver: Receiver) -> Callable[..., str]:
    """`post(timeout_s=..., data=...)`: sends something to the receiver; gives what it said, or raises."""

    def send(*, timeout_s: float = 10.0, path: str = "/in?token=geheim", **how: Any) -> str:
        http = Http(timeout_s=timeout_s)

        async def both() -> str:
            try:
                return accepted(await http.send("POST", receiver.url + path, **{"data": b"x", **how}))
            finally:
                await http.close()

        words: str = spin(both())
        return words

    return send


def test_taken(post: Callable[..., str], receiver: Receiver) -> None:
    """What was sent arrives as it is, and the answer is told in one line."""
    receiver.otherwise = Answer(202, b"saved\n 3 items")
    assert post(data=b"\x00\xffraw", headers={"X-One": "1"}, auth=("ada", "pass")) == "202 Accepted: saved 3 items"
    (seen,) = receiver.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/in?token=geheim", b"\x00\xffraw")
    assert (seen.headers["x-one"], seen.headers["authorization"]) == ("1", "Basic YWRhOnBhc3M=")
    assert seen.headers["user-agent"] == "benchyard"
    assert post(data={"json": "[1, 2]"}) == "202 Accepted: saved 3 items"
    assert (receiver.seen[1].body, receiver.seen[1].headers.get("authorization")) == (b"json=%5B1%2C+2%5D", None)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 413, 422])
def test_refused(post: Callable[..., str], receiver: Receiver, status: int) -> None:
    """An answer that blames the request is a refusal with the server's words."""
    receiver.otherwise = Answer(status, b'{"detail": "no such environment"}', {"Content-Type": "application/json"})
    with pytest.raises(Refused, match=rf"^{status} [A-Z][A-Za-z ]+: no such environment$"):
        post()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_later(post: Callable[..., str], receiver: Receiver, status: int) -> None:
    """An answer that tells of trouble of the server's own means to try again."""
    receiver.otherwise = Answer(status, b"busy")
    with pytest.raises(TryLater, match=rf"^{status} .*: busy$") as later:
        post()
    assert later.value.after_s is None


def test_retry_after(post: Callable[..., str], receiver: Receiver) -> None:
    """How long a server asks to wait is taken from seconds and dates, within a day; what is neither is left out."""
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 600))
    asked = {"120": 120.0, "99999999": 86400.0, "soon": None, "": None, "-5": None}
    for text, expected in asked.items():
        receiver.answers.append(Answer(503, headers={"Retry-After": text}))
        with pytest.raises(TryLater) as later:
            post()
        assert later.value.after_s == expected, text
    receiver.answers.append(Answer(429, headers={"Retry-After": date}))
    with pytest.raises(TryLater) as later:
        post()
    assert later.value.after_s is not None and 0 < later.value.after_s <= 600


def test_not_redirected(post: Callable[..., str], receiver: Receiver) -> None:
    """A redirection is not followed, as what is sent is for one address only; what to do is told."""
    receiver.otherwise = Answer(302, headers={"Location": receiver.url + "/else"})
    with pytest.raises(Refused, match="redirections are not followed: set `url`"):
        post()
    assert len(receiver.seen) == 1


def test_words_are_bounded(post: Callable[..., str], receiver: Receiver) -> None:
    """Of a page of errors the title is told, of other texts one line, and never more than that."""
    page = b"<html><head><title>Server &amp; Error</title><style>x{}</style></head><body>" + b"no " * 50_000
    receiver.answers = [
        Answer(500, page, {"Content-Type": "text/html"}),
        Answer(500, b"<p>not <b>now</b></p>", {"Content-Type": "text/html; charset=utf-8"}),
        Answer(500, b"a\x1b[31mb\r\nc " + b"long " * 500),
    ]
    words = []
    for _ in range(3):
        with pytest.raises(TryLater) as later:
            post()
        words.append(str(later.value))
    assert words[:2] == ["500 Internal Server Error: Server & Error", "500 Internal Server Error: not now"]
    assert words[2].startswith("500 Internal Server Error: a?[31mb c long long")
    assert len(words[2]) == LONGEST_WORDS and words[2].isprintable()


def test_nobody_is_there(post: Callable[..., str], receiver: Receiver) -> None:
    """Where nothing listens, it is tried again; the address, which may have a secret in it, is not told."""
    receiver.down()
    with pytest.raises(TryLater, match=r"^connection refused$"):
        post()


def test_name_that_is_nobodys(spin: Spin) -> None:
    """A name without an address is told as such."""
    http = Http(timeout_s=20.0)
    with pytest.raises(TryLater, match=r"^its name cannot be resolved: "):
        spin(http.send("POST", "http://no-such-host.invalid/x?token=geheim", data=b""))
    spin(http.close())


def test_cut_in_the_middle(post: Callable[..., str], receiver: Receiver) -> None:
    """An answer that breaks off is no answer: nobody knows whether it was taken."""
    receiver.otherwise = Answer(200, b"thank you", cut=True)
    with pytest.raises(TryLater, match=r"^it closed the connection in the middle of its answer$"):
        post()


@pytest.mark.parametrize(
    "answer", [{"hold": threading.Event()}, {"drip_s": 0.05, "body": b"drop by drop, on and on " * 50}]
)
def test_slow(post: Callable[..., str], receiver: Receiver, answer: dict[str, Any]) -> None:
    """A server that does not answer, and one that never comes to an end, have as long as any other."""
    receiver.otherwise = Answer(**answer)
    with pytest.raises(TryLater, match=r"^no whole answer within 0\.5 s$"):
        post(timeout_s=0.5)


def test_closed_meanwhile(spin: Spin, settle: Callable[..., Any], receiver: Receiver) -> None:
    """Who closes need not wait for a server that says nothing."""
    from twisted.internet import defer

    receiver.otherwise = Answer(hold=threading.Event())
    http = Http(timeout_s=600.0)

    async def close_while_it_waits() -> None:
        sent = defer.ensureDeferred(http.send("POST", receiver.url, data=b"x"))
        await settle(lambda: receiver.seen, "the request has arrived")
        await http.close()
        with pytest.raises(TryLater):
            await sent

    spin(close_while_it_waits(), 30.0)


def test_certificates_are_checked(spin: Spin, tmp_path: Path) -> None:
    """A server whose certificate nobody has signed gets nothing, unless that is the one in `ca_file`."""
    certificate = make_certificate(tmp_path / "server.pem")

    async def post(url: str, ca_file: str) -> str:
        http = Http(timeout_s=10.0, ca_file=ca_file)
        try:
            return accepted(await http.send("POST", url, data=b"x"))
        finally:
            await http.close()

    with receiving(certificate) as receiver:
        with pytest.raises(TryLater, match=r"^its certificate is not good: self-signed certificate$"):
            spin(post(receiver.url, ""))
        with pytest.raises(TryLater, match=r"^the file of certificates `ca_file` is not there$"):
            spin(post(receiver.url, str(tmp_path / "gone.pem")))
        assert receiver.seen == []
        assert spin(post(receiver.url, str(certificate))) == "200 OK: thanks"


def test_no_tls_where_tls_is_due(spin: Spin, receiver: Receiver) -> None:
    """A server that does not speak TLS is told of as such."""
    http = Http(timeout_s=10.0)
    with pytest.raises(TryLater, match=r"^TLS does not work: "):
        spin(http.send("POST", receiver.url.replace("http:", "https:"), data=b"x"))
    spin(http.close())


def test_no_password_of_a_netrc(
    post: Callable[..., str], receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `.netrc` of the lab's user gives no destination a password."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password geheim\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    post()
    assert "authorization" not in receiver.seen[0].headers


def test_one_line() -> None:
    """Whatever a text is, it becomes one printable line of bounded length."""
    assert one_line(" a\n\tb\x00c ") == "a b?c"
    assert len(one_line("x" * 1000, 20)) == 20
