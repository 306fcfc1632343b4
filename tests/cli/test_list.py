"""What all lists have in common: columns, times, pages."""

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer

LISTS = (("job", "list"), ("result", "list"), ("host", "list"), ("user", "list"), ("user", "token", "list"))


def test_columns_are_chosen(run: "Run", lab: "LabServer") -> None:
    """--columns chooses columns and their order, those that are not shown by default among them."""
    lab.add_job(reason="warm")
    ran = run("job", "list", "--columns", "owner,JOB, reason")
    assert [line.split() for line in ran.out.splitlines()] == [["OWNER", "JOB", "REASON"], ["admin", "1", "warm"]]
    assert run("job", "list", "--columns", "id,status").out.split() == ["JOB", "STATUS", "1", "queued"]


@pytest.mark.parametrize("argv", [*LISTS, ("queue", "list"), ("queue", "get")])
def test_an_unknown_column_is_wrong_usage(run: "Run", lab: "LabServer", argv: tuple[str, ...]) -> None:
    """A column that a list does not have is exit status 2, with those that it has."""
    lab.add_job()
    ran = run(*argv, "--columns", "colour")
    assert (ran.status, ran.out) == (2, "") and "there is no column 'colour'; there are " in ran.err


@pytest.mark.parametrize("argv", [("job", "list"), ("result", "list")])
def test_times_are_local(run: "Run", lab: "LabServer", argv: tuple[str, ...]) -> None:
    """--since and --until take a date or a time, of the local zone unless it names one."""
    assert run(*argv, "--since", "2026-11-22", "--until", "2026-11-22T10:53:00+02:00").status == 0
    query = lab.seen[-1].query
    assert datetime.fromisoformat(query["since"][0]) == datetime.fromisoformat("2026-11-22T00:00:00+00:00")
    assert datetime.fromisoformat(query["until"][0]) == datetime.fromisoformat("2026-11-22T08:53:00+00:00")
    ran = run(*argv, "--since", "yesterday")
    assert ran.status == 2 and "'yesterday' is not a time; write 2026-11-22" in ran.err


@pytest.mark.parametrize("argv", LISTS)
def test_lists_are_json(run: "Run", argv: tuple[str, ...]) -> None:
    """--json of a list is the lab's list, whatever the columns."""
    assert set(run(*argv, "--json", "--columns", "id").json) == {"items", "next"}
