"""Tables and the room that a terminal has for them."""

import pytest

from benchyard.cli.fitting import Column, cut, fit

COLUMNS = (
    Column("JOB", right=True),
    Column("TARGET", rank=2),
    Column("NOTE", rank=1),
    Column("PYTHON", flexible=True, tail=True),
)


@pytest.mark.parametrize(
    ("room", "widths"),
    [
        (100, {0: 3, 1: 12, 2: 20, 3: 40}),
        (81, {0: 3, 1: 12, 2: 20, 3: 40}),
        (80, {0: 3, 1: 12, 2: 20, 3: 39}),
        (53, {0: 3, 1: 12, 2: 20, 3: 12}),
        (52, {0: 3, 2: 20, 3: 25}),
        (38, {0: 3, 3: 33}),
        (10, {0: 3, 3: 12}),
    ],
)
def test_what_there_is_room_for(room: int, widths: dict[int, int]) -> None:
    """Flexible columns shrink first, then those of the highest rank go; what has no rank stays."""
    assert fit(COLUMNS, (2, 12, 20, 40), room) == widths


def test_a_column_without_values_goes_first() -> None:
    """An empty column leaves before one that says something, whatever the ranks."""
    assert fit(COLUMNS, (2, 12, 0, 40), 36) == {0: 3, 1: 12, 3: 17}


def test_room_is_shared() -> None:
    """Flexible columns share what is left, and none gets more than it needs."""
    columns = (Column("A", flexible=True), Column("B", flexible=True))
    assert fit(columns, (14, 90), 50) == {0: 14, 1: 34}


def test_cut() -> None:
    """What is left out is marked, at the end or at the beginning."""
    assert cut("/opt/python/bin", 8, tail=False) == "/opt/py…"
    assert cut("/opt/python/bin", 8, tail=True) == "…hon/bin"
    assert cut("short", 8, tail=True) == "short"
    assert cut("short", 1, tail=True) == "s"
