"""Values sent to a real codespeed are there, once and as they were measured."""

import urllib.request
from collections.abc import Callable
from typing import Any

import codespeed
import pytest

from benchyard.publish.destinations import Publication, Refused, TryLater

Make = Callable[..., Publication]
Sending = Callable[..., Any]
Arrived = Callable[[codespeed.Server, Publication], None]


def test_what_is_sent_is_there(
    speed: codespeed.Server, sending: Sending, publication: Make, commit: str, arrived: Arrived
) -> None:
    """Every value arrives as it was measured, with its names, units and dates."""
    found = publication(commit=commit, flags=("jit", "nogil"))
    receipt = sending(speed.url).send(found)
    assert receipt.words == "codespeed has saved 2 values"
    with urllib.request.urlopen(receipt.link, timeout=60) as page:  # noqa: S310 (its own address)
        assert "cpython-jit-nogil" in page.read().decode()
    rows = speed.of(commit)
    arrived(speed, found)
    for row in rows:
        assert (row["project"], row["branch"], row["executable"]) == ("CPython", "main", "cpython-jit-nogil")
        assert (row["environment"], row["units"], row["units_title"]) == ("bench1", "seconds", "Time")
        assert row["date"] == "2025-06-15 15:06:40"


def test_sent_twice_is_there_once(speed: codespeed.Server, sending: Sending, publication: Make, commit: str) -> None:
    """The same again changes nothing, and a later result of the place takes the first one's."""
    destination = sending(speed.url)
    found = publication(commit=commit)
    destination.send(found)
    first = speed.of(commit)
    destination.send(found)
    assert speed.of(commit) == first


def test_rerun_takes_the_place(
    speed: codespeed.Server,
    sending: Sending,
    publication: Make,
    make_file: Callable[..., bytes],
    commit: str,
    arrived: Arrived,
) -> None:
    """A later result of the same commit, executable and host is what codespeed has then, also where it says less."""
    destination = sending(speed.url)
    destination.send(publication(commit=commit))
    rerun = publication(make_file({"nbody": (0.5,), "json_loads": (0.7, 0.9)}), commit=commit)
    destination.send(rerun)
    arrived(speed, rerun)


def test_memory_does_not_replace_time(
    speed: codespeed.Server,
    sending: Sending,
    publication: Make,
    make_file: Callable[..., bytes],
    commit: str,
) -> None:
    """The peaks of memory of a benchmark are a benchmark of their own, in bytes."""
    destination = sending(speed.url)
    destination.send(publication(make_file({"nbody": (0.5, 0.6)}), commit=commit))
    destination.send(publication(make_file({"nbody": (3e6, 4e6)}, unit="byte"), commit=commit))
    found = {row["benchmark"]: (row["value"], row["units"], row["units_title"]) for row in speed.of(commit)}
    assert found == {"nbody": (0.55, "seconds", "Time"), "nbody-memory": (3.5e6, "bytes", "Memory")}


def test_unknown_environment(speed: codespeed.Server, sending: Sending, publication: Make, commit: str) -> None:
    """A host that codespeed has no environment for is refused with its words and the remedy, which then helps."""
    found = publication(commit=commit, host="elsewhere")
    with pytest.raises(Refused) as refused:
        sending(speed.url).send(found)
    assert str(refused.value) == (
        "codespeed said 400 Bad Request: Environment elsewhere not found; make that environment in codespeed's admin "
        "pages, or set `environments` to what it is called there"
    )
    sending(speed.url, environments={"elsewhere": "bench1"}).send(found)
    assert len(speed.of(commit)) == 2


def test_without_time_zones(sending: Sending, publication: Make, commit: str, arrived: Arrived) -> None:
    """A codespeed with USE_TZ = False fails of dates with a zone, and takes those of `dates = "naive"`."""
    with codespeed.running(use_tz=False) as server:
        found = publication(commit=commit)
        with pytest.raises(TryLater, match="500"):
            sending(server.url).send(found)
        sending(server.url, dates="naive").send(found)
        rows = server.of(commit)
        arrived(server, found)
        assert {row["date"] for row in rows} == {"2025-06-15 15:06:40"}
