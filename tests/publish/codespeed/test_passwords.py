"""A codespeed that wants to know who sends."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import codespeed
import pytest

from benchyard.publish.destinations import Publication, Refused, TryLater

Make = Callable[..., Publication]
Sending = Callable[..., Any]
Arrived = Callable[[codespeed.Server, Publication], None]


@pytest.fixture(scope="module")
def guarded(password: str) -> Iterator[codespeed.Server]:
    """A codespeed that asks who sends, and takes passwords over any connection."""
    with codespeed.running(anonymous=False, secure_auth=False, users={"lab": password}) as server:
        yield server


def test_password(
    guarded: codespeed.Server, sending: Sending, publication: Make, commit: str, arrived: Arrived
) -> None:
    """With user and password, which may have any letters, it is saved."""
    found = publication(commit=commit)
    sending(guarded.url, user="lab").send(found)
    arrived(guarded, found)


def test_no_user(guarded: codespeed.Server, sending: Sending, publication: Make) -> None:
    """A codespeed that wants to know who sends refuses, and the words say what to set."""
    with pytest.raises(Refused, match="401 .*; set `user`, and give the lab the secret publish-speed"):
        sending(guarded.url).send(publication())


def test_wrong_password(guarded: codespeed.Server, sending: Sending, publication: Make, site: Any, commit: str) -> None:
    """A wrong password is refused without being told, and a new one counts at once."""
    secret = site.secrets_dir / "publish-speed"
    right = secret.read_text(encoding="utf-8")
    secret.write_text("hunter2\n", encoding="utf-8")
    destination, found = sending(guarded.url, user="lab"), publication(commit=commit)
    with pytest.raises(Refused, match="403 .*the user 'lab' with the password in the secret publish-speed") as refused:
        destination.send(found)
    assert "hunter2" not in str(refused.value) + repr(destination.destination) + repr(vars(destination.destination))
    secret.write_text(right, encoding="utf-8")
    destination.send(found)
    assert len(guarded.of(commit)) == 2


def test_no_password(guarded: codespeed.Server, sending: Sending, publication: Make, site: Any) -> None:
    """Without the secret nothing is sent, and the words name it."""
    (site.secrets_dir / "publish-speed").unlink()
    with pytest.raises(TryLater, match="publish-speed"):
        sending(guarded.url, user="lab").send(publication())


def test_password_over_http(sending: Sending, publication: Make) -> None:
    """A codespeed that takes passwords over TLS only says so, and what to set."""
    with (
        codespeed.running(anonymous=False, users={"lab": "x"}) as server,
        pytest.raises(Refused, match="403 .*Secure connection required; set `url` to its https address"),
    ):
        sending(server.url, user="lab").send(publication())


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate for 127.0.0.1 that nobody has signed but itself, and its key."""
    made, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    kind = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run(["openssl", *kind, *name, "-out", made, "-keyout", key], check=True, capture_output=True, timeout=60)
    return str(made), str(key)


def test_tls(
    password: str, sending: Sending, publication: Make, certificate: tuple[str, str], commit: str, arrived: Arrived
) -> None:
    """A certificate is checked: with that of `ca_file` passwords are sent, without it nothing is."""
    made, key = certificate
    with codespeed.running(anonymous=False, users={"lab": password}, certificate=made, key=key) as server:
        found = publication(commit=commit)
        with pytest.raises(TryLater, match="certificate"):
            sending(server.url, user="lab").send(found)
        sending(server.url, user="lab", ca_file=made).send(found)
        arrived(server, found)
