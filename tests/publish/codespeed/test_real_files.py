"""Real result files at a codespeed, read back from its own pages."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import codespeed
import msgspec
import pytest

from benchyard.publish.codespeed.items import Item, items_of
from benchyard.publish.destinations import Publication
from benchyard.publish.settings import Codespeed

Make = Callable[..., Publication]
Sending = Callable[..., Any]
Unpack = Callable[[Path], bytes]

#: On its page a point is [date, value, deviation or extremes and quartiles ..., commit, tag, branch].
_COMMIT = -3


def points(server: codespeed.Server, executable: str) -> dict[tuple[str, str], list[Any]]:
    """What its page draws, by benchmark and commit, of which it shows ten digits: each once."""
    found: dict[tuple[str, str], list[Any]] = {}
    for benchmark, drawn in server.timeline(executable, "sulaco").items():
        for point in drawn:
            assert (benchmark, point[_COMMIT]) not in found
            found[benchmark, point[_COMMIT]] = point[1:_COMMIT]
    return found


def show_medians(server: codespeed.Server) -> None:
    """Let its page show extremes and quartiles, as its admin pages can: it shows either these or the deviation."""
    with closing(sqlite3.connect(server.database, timeout=30)) as conn, conn:
        conn.execute("UPDATE codespeed_benchmark SET data_type = 'M'")


def check(sending: Sending, publication: Make, unpack: Unpack, files: list[Path], times: int) -> None:
    """Send files, each so often, and compare what codespeed's pages show with what was sent."""
    with codespeed.running(environments=("sulaco",)) as server:
        destination = sending(server.url)
        settings = msgspec.convert({"url": server.url}, Codespeed)
        sent: dict[str, dict[tuple[str, str], Item]] = {}
        for file in files:
            flags = ("jit",) if file.parent.name.endswith("-JIT") else ()
            result = publication(unpack(file), host="sulaco", flags=flags)
            for _ in range(times):
                destination.send(result)
            for item in items_of(result, settings):
                sent.setdefault(item.executable, {})[item.benchmark, item.commitid[:10]] = item
        for executable, items in sent.items():
            expected = {key: [item.result_value, or_empty(item.std_dev)] for key, item in items.items()}
            assert points(server, executable) == expected
        show_medians(server)
        for executable, items in sent.items():
            expected = {key: [i.result_value, *map(or_empty, (i.max, i.q3, i.q1, i.min))] for key, i in items.items()}
            assert points(server, executable) == expected
        assert len(server.results()) == sum(map(len, sent.values()))


def or_empty(value: float | None) -> float | str:
    """Its pages have an empty text for nothing."""
    return "" if value is None else value


def test_real_files(real_results: Path, unpack: Unpack, sending: Sending, publication: Make) -> None:
    """All values of a default and of a JIT build of one commit arrive, sent twice, and are shown once each."""
    files = sorted(real_results.glob("bm-*-832bc0b*/*.json.gz"))
    assert len(files) == 2
    check(sending, publication, unpack, files, times=2)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_all_real_files(real_results: Path, unpack: Unpack, sending: Sending, publication: Make) -> None:
    """All values of all results of a host arrive and are shown, however many there are already."""
    files = sorted(real_results.glob("bm-*/*.json.gz"))
    assert len(files) > 20
    check(sending, publication, unpack, files, times=1)
