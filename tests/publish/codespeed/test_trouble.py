"""A codespeed that is down, slow or locked, and networks and proxies before it."""

import signal
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import codespeed
import pytest
from meddling import Deed, Meddler

from benchyard.publish.destinations import Publication, Refused, TryLater

Make = Callable[..., Publication]
Sending = Callable[..., Any]
Arrived = Callable[[codespeed.Server, Publication], None]


@pytest.mark.parametrize(
    "deed",
    [
        Deed(request="half"),
        Deed(request="none", answer="none"),
        Deed(answer="none"),
        Deed(answer="half"),
        Deed(status=500, body=b"<h1>Server Error (500)</h1>", headers={"Content-Type": "text/html"}),
        Deed(status=502),
        Deed(status=504),
        Deed(status=200, body=b"<html><title>Welcome to our network</title>", headers={"Content-Type": "text/html"}),
        Deed(status=202, body=b"queued"),
        Deed(request="none", status=302, headers={"Location": "/maintenance"}),
    ],
    ids=lambda deed: f"{deed.request}-{deed.answer}-{deed.status}",
)
def test_nobody_knows(
    speed: codespeed.Server,
    meddler: Meddler,
    sending: Sending,
    publication: Make,
    commit: str,
    deed: Deed,
    arrived: Arrived,
) -> None:
    """Whatever happens on the way, before it was saved or after, it is tried later and then there once, and right."""
    meddler.deeds.append(deed)
    destination, found = sending(meddler.url), publication(commit=commit)
    with pytest.raises(TryLater) as trouble:
        destination.send(found)
    assert "\n" not in str(trouble.value)
    destination.send(found)
    arrived(speed, found)


def test_part_that_is_lost(
    speed: codespeed.Server,
    meddler: Meddler,
    sending: Sending,
    publication: Make,
    commit: str,
    arrived: Arrived,
    many: bytes,
) -> None:
    """A result of which one part was answered by an error is not sent, though the other parts are saved."""
    meddler.deeds += [Deed(), Deed(), Deed(request="none", status=503)]
    destination, found = sending(meddler.url, max_body_kb=4), publication(many, commit=commit)
    with pytest.raises(TryLater, match="503"):
        destination.send(found)
    destination.send(found)
    arrived(speed, found)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(meddler: Meddler, sending: Sending, publication: Make, status: int) -> None:
    """How long the other side asks to wait is handed on."""
    meddler.deeds.append(Deed(request="none", status=status, headers={"Retry-After": "77"}))
    with pytest.raises(TryLater) as trouble:
        sending(meddler.url).send(publication())
    assert trouble.value.after_s == 77


def test_moved(meddler: Meddler, sending: Sending, publication: Make) -> None:
    """A post is not sent on to where a server points: the new address is told, without what may be secret in it."""
    there = "https://anna:secret@speed.example/result/add/json/?token=secret"
    meddler.deeds.append(Deed(request="none", status=301, headers={"Location": there}))
    with pytest.raises(Refused) as refused:
        sending(meddler.url).send(publication())
    assert "https://speed.example/result/add/json/" in str(refused.value)
    assert "secret" not in str(refused.value)
    assert len(meddler.bodies) == 1


def test_page_is_told_in_one_line(meddler: Meddler, sending: Sending, publication: Make) -> None:
    """Of a page of an error people see its title, not its markup."""
    page = b"<html><head><title>Not\n Found</title><style>x</style></head><body>" + b"<p>very</p>" * 5000
    meddler.deeds.append(Deed(request="none", status=404, body=page, headers={"Content-Type": "text/html"}))
    with pytest.raises(Refused) as refused:
        sending(meddler.url).send(publication())
    assert str(refused.value) == f"codespeed said 404 Not Found; is `url` = '{meddler.url}' the root of a codespeed?"


def test_down_then_up(sending: Sending, publication: Make, commit: str, arrived: Arrived) -> None:
    """A codespeed that is down is tried later, and a restart between two results is no trouble at all."""
    with codespeed.running() as speed:
        destination, found = sending(speed.url), publication(commit=commit)
        destination.send(publication(commit="e" * 40))
        speed.stop()
        with pytest.raises(TryLater):
            destination.send(found)
        speed.start()
        destination.send(found)
        speed.stop(signal.SIGKILL)
        speed.start()
        later = publication(commit="d" * 40)
        destination.send(later)
        arrived(speed, found)
        arrived(speed, later)
        assert len(speed.results()) == 6


def test_database_is_locked(sending: Sending, publication: Make, commit: str, arrived: Arrived, many: bytes) -> None:
    """A codespeed whose database somebody else holds is tried later, until it is let go."""
    with codespeed.running(lock_wait_s=0.1) as speed:
        destination, found = sending(speed.url), publication(many, commit=commit)
        with closing(sqlite3.connect(speed.database, isolation_level=None)) as conn:
            conn.execute("BEGIN IMMEDIATE")
            with pytest.raises(TryLater, match="500 Internal Server Error"):
                destination.send(found)
            conn.execute("ROLLBACK")
        destination.send(found)
        arrived(speed, found)


def test_database_is_locked_now_and_then(
    sending: Sending, publication: Make, commit: str, arrived: Arrived, many: bytes
) -> None:
    """While somebody locks the database again and again, a result may take several tries, and is there once."""
    stopped = threading.Event()

    def lock(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as conn:
            while not stopped.wait(0.05):
                conn.execute("BEGIN IMMEDIATE")
                stopped.wait(0.15)
                conn.execute("ROLLBACK")

    with codespeed.running(lock_wait_s=0.1) as speed:
        destination, found = sending(speed.url), publication(many, commit=commit)
        locker = threading.Thread(target=lock, args=(speed.database,))
        locker.start()
        try:
            assert tries(destination, found) > 1
        finally:
            stopped.set()
            locker.join()
        tries(destination, found)
        arrived(speed, found)


def tries(destination: Any, publication: Publication, most: int = 20) -> int:
    """How often it was tried until it was sent, or at most."""
    for number in range(1, most + 1):
        try:
            destination.send(publication)
        except TryLater:
            continue
        return number
    return most
