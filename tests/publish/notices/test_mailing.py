"""Mail by a real server: with TLS and a login, refused, and down; and no word of a password anywhere."""

from collections.abc import Callable
from email.header import decode_header, make_header
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from smtpserver import MailServer, make_certificate

from benchyard.publish.destinations import Refused, TryLater
from benchyard.publish.notices.reporting import SERVICE, send
from benchyard.publish.notices.settings import Mail
from benchyard.store.rows import Notice

if TYPE_CHECKING:
    from tests.publish.notices.conftest import Masters

PASSWORD = "hunter2 with spaces"
BODY = "nbody  93.4 ms +- 1.0 ms\n.a line with a dot\n\u00e4 line of another alphabet\n"
NOTICE = Notice(7, "job_done:1", "job_done", 5.0, "linux", "job 1 success: \u00e4", BODY, ("ada",), {})

MakeServer = Callable[..., MailServer]


@pytest.fixture
def tell(masters: "Masters") -> Callable[..., None]:
    """`tell(server, addresses, **settings)`: sends the notice by a mail server."""

    def work(server: MailServer, addresses: tuple[str, ...] = ("ada@example.org",), **given: Any) -> None:
        if "user" in given:
            (masters.secrets / "notify-mail").write_text(PASSWORD + "\n")
        how = {"sender": "the lab <lab@example.org>", "tls": server.tls, "timeout_s": 10.0, "port": server.port}
        master = masters.running[0] if masters.running else masters.start({"mail": Mail(**{**how, **given})})
        reporter = master.master.service_manager.namedServices[SERVICE.format(name="mail")]

        async def work() -> None:
            await send(reporter, NOTICE, addresses, timeout_s=10.0)

        try:
            master.spin(work())
        finally:
            assert PASSWORD not in "\n".join(masters.log)

    return work


def test_plain(tell: Callable[..., None], mail_server: MakeServer) -> None:
    """The text arrives as it is, to the owner, with a copy for those of `to`, and as sent by a program."""
    server = mail_server()
    tell(server, to=("perf@example.org",))
    (mail,) = server.received
    assert sorted(mail.recipients) == ["ada@example.org", "perf@example.org"]
    assert (mail.message["To"], mail.message["CC"]) == ("ada@example.org", "perf@example.org")
    assert mail.message["From"] == "the lab <lab@example.org>"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.text.replace("\r\n", "\n").rstrip() == BODY.rstrip()
    assert str(make_header(decode_header(str(mail.message["Subject"])))) == NOTICE.subject


def test_sent_twice_is_one(tell: Callable[..., None], mail_server: MakeServer) -> None:
    """The same notice has the same Message-ID, by which a crash between sending and noting can be seen through."""
    server = mail_server()
    tell(server)
    tell(server)
    first, second = server.received
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert first.message["Message-ID"].endswith("@example.org>")


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_tls_and_login(tell: Callable[..., None], mail_server: MakeServer, certificate: Path, tls: str) -> None:
    """The server's certificate is checked, then the account's password is shown to it."""
    server = mail_server(tls=tls, certificate=certificate, login=("lab", PASSWORD))
    tell(server, user="lab", ca_file=str(certificate))
    assert (len(server.received), server.logins) == (1, 1)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_stranger_s_certificate(tell: Callable[..., None], mail_server: MakeServer, tmp_path: Path, tls: str) -> None:
    """A server whose certificate nobody vouches for, or that is another's, gets neither password nor mail."""
    server = mail_server(tls=tls, certificate=make_certificate(tmp_path / "own.pem"), login=("lab", PASSWORD))
    with pytest.raises(TryLater, match="certificate"):
        tell(server, user="lab")
    assert (server.received, server.logins) == ([], 0)


def test_server_of_another_name(tell: Callable[..., None], mail_server: MakeServer, tmp_path: Path) -> None:
    """A certificate for another machine is no good, whoever vouches for it."""
    other = make_certificate(tmp_path / "other.pem", "mail.example.org")
    server = mail_server(tls="starttls", certificate=other)
    with pytest.raises(TryLater):
        tell(server, ca_file=str(other))
    assert server.received == []


def test_server_without_tls(tell: Callable[..., None], mail_server: MakeServer) -> None:
    """Where TLS is asked for and not offered, nothing is sent."""
    server = mail_server()
    with pytest.raises(TryLater, match="TLS"):
        tell(server, tls="starttls")
    assert server.received == []


def test_wrong_password(tell: Callable[..., None], mail_server: MakeServer, certificate: Path) -> None:
    """It is tried again later, as somebody will correct it; neither words nor log have what was said."""
    server = mail_server(tls="starttls", certificate=certificate, login=("lab", "another"))
    with pytest.raises(TryLater) as refused:
        tell(server, user="lab", ca_file=str(certificate))
    assert str(refused.value).startswith("535 ")
    assert PASSWORD not in str(refused.value)


def test_recipients_that_are_unknown(tell: Callable[..., None], mail_server: MakeServer, masters: "Masters") -> None:
    """All unknown: the message is refused for good. Some: the others get it, and the log says who did not."""
    server = mail_server(refused={"ada@example.org"})
    with pytest.raises(Refused, match=r"^550 5\.1\.1 no such user here$"):
        tell(server)
    tell(server, ("ada@example.org", "bob@example.org"))
    (mail,) = server.received
    assert mail.recipients == ["bob@example.org"]
    assert any("ada@example.org was not taken: 550 5.1.1 no such user here" in line for line in masters.log)


@pytest.mark.parametrize(
    ("answer", "error"), [("451 4.3.0 try again later", TryLater), ("554 5.7.1 this is spam", Refused)]
)
def test_message_that_is_not_taken(
    tell: Callable[..., None], mail_server: MakeServer, answer: str, error: type[Exception]
) -> None:
    """What is about now is tried again, what is about this message is not; in the server's words."""
    server = mail_server(answers=[answer])
    with pytest.raises(error, match=answer):
        tell(server)
    assert server.received == []


def test_nobody_listens(tell: Callable[..., None], mail_server: MakeServer) -> None:
    """A server that is away is told to be so, at once."""
    server = mail_server()
    server.stop()
    try:
        with pytest.raises(TryLater, match="Unable to connect to SMTP server: Connection was refused"):
            tell(server)
    finally:
        server.start()


def test_secret_that_goes(tell: Callable[..., None], mail_server: MakeServer, masters: "Masters") -> None:
    """The password is read at each use: once its file is gone, the remedy is told."""
    server = mail_server()
    (masters.secrets / "notify-mail").write_text(PASSWORD)
    how: dict[str, Any] = {"sender": "lab@example.org", "tls": "none", "port": server.port, "user": "lab"}
    masters.start({"mail": Mail(**how)})
    (masters.secrets / "notify-mail").unlink()
    with pytest.raises(TryLater, match="the lab has no secret notify-mail; give it one with"):
        tell(server)
