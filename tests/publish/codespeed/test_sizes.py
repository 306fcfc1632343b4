"""Results go to a codespeed in parts that it takes."""

from collections.abc import Callable
from typing import Any

import codespeed
import pytest
from meddling import Deed, Meddler, meddling

from benchyard.publish.destinations import Publication, Refused

Make = Callable[..., Publication]
Sending = Callable[..., Any]
Arrived = Callable[[codespeed.Server, Publication], None]


def test_body_limit_of_the_settings(
    speed: codespeed.Server,
    meddler: Meddler,
    sending: Sending,
    publication: Make,
    commit: str,
    arrived: Arrived,
    many: bytes,
) -> None:
    """What is larger than the settings allow goes in parts below the limit, each value in one of them."""
    found = publication(many, commit=commit)
    receipt = sending(meddler.url, max_body_kb=4).send(found)
    assert max(map(len, meddler.bodies)) <= 4000
    assert receipt.words == f"codespeed has saved 40 values, sent in {len(meddler.bodies)} parts"
    assert len(meddler.bodies) > 1
    arrived(speed, found)


def test_body_limit_of_the_server(
    sending: Sending, publication: Make, commit: str, arrived: Arrived, many: bytes
) -> None:
    """A server that takes less than the settings say gets smaller parts, and the next result begins with these."""
    with codespeed.running(max_body_bytes=3000) as speed, meddling(speed.port) as meddler:
        destination = sending(meddler.url)
        found = publication(many, commit=commit)
        destination.send(found)
        arrived(speed, found)
        assert 400 in meddler.answered
        meddler.answered.clear()
        destination.send(publication(many, commit="f" * 40))
        assert set(meddler.answered) == {202}
        assert len(speed.results()) == 80


def test_body_limit_that_takes_nothing(sending: Sending, publication: Make, many: bytes) -> None:
    """A server that takes not even one value refuses the result, after a few tries."""
    with codespeed.running(max_body_bytes=100) as speed, meddling(speed.port) as meddler:
        with pytest.raises(Refused, match="even to a single value"):
            sending(meddler.url).send(publication(many))
        assert len(meddler.answered) < 10


def test_too_large_for_a_proxy(
    speed: codespeed.Server, meddler: Meddler, sending: Sending, publication: Make, commit: str, arrived: Arrived
) -> None:
    """A proxy's 413 is answered with two halves."""
    page = b"<html><head><title>413 Request Entity Too Large</title></head></html>"
    meddler.deeds.append(Deed(request="none", status=413, body=page, headers={"Content-Type": "text/html"}))
    found = publication(commit=commit)
    sending(meddler.url).send(found)
    arrived(speed, found)
    assert len(meddler.bodies) == 3


def test_refused_in_the_middle(
    speed: codespeed.Server, meddler: Meddler, sending: Sending, publication: Make, commit: str, many: bytes
) -> None:
    """Where a later part is refused, the words say that something is there."""
    meddler.deeds += [Deed(), Deed(request="none", status=418, body=b"short and stout")]
    found = publication(many, commit=commit)
    with pytest.raises(Refused, match=r"418 .*short and stout \(\d+ of 40 values are there\)"):
        sending(meddler.url, max_body_kb=4).send(found)
    assert 0 < len(speed.of(commit)) < 40
