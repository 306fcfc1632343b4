"""Lists of CPUs."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchyard.tasks.cpus import (
    available_cpus,
    check_cpus,
    format_cpu_list,
    online_cpus,
    parse_cpu_list,
)
from benchyard.tasks.errors import CpuListError


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0", (0,)), ("0-2,5", (0, 1, 2, 5)), ("5,0-2", (0, 1, 2, 5)), ("1,1,0-1", (0, 1)), (" 3 , 4 ", (3, 4))],
)
def test_lists_are_read_ascending_and_each_cpu_once(text: str, cpus: tuple[int, ...]) -> None:
    """A list in any order, with blanks and repetitions, gives each CPU once, ascending."""
    assert parse_cpu_list(text) == cpus


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "1,",
        "-1",
        "1-",
        "2-1",
        "a",
        "0x1",
        "1.5",
        "99999",
        "8192",
        "9" * 400,
        "1--2",
        "'1'",
        "1\n2",
        "²",
    ],
)
def test_malformed_lists_are_refused(text: str) -> None:
    """Whatever is not a list of CPU numbers is a CpuListError of one line."""
    with pytest.raises(CpuListError, match=r"^[^\n]+$"):
        parse_cpu_list(text)


@given(st.sets(st.integers(0, 8191), min_size=1))
def test_reading_undoes_writing(cpus: set[int]) -> None:
    """Every set of CPUs survives being written and read."""
    assert parse_cpu_list(format_cpu_list(cpus)) == tuple(sorted(cpus))


def test_ranges_are_written_short() -> None:
    """Neighbours are written as a range."""
    assert format_cpu_list([5, 2, 1, 0, 7, 8]) == "0-2,5,7-8"


def test_available_cpus_are_those_of_this_process() -> None:
    """The available CPUs are the affinity of this process, and all of them are online."""
    assert available_cpus() == tuple(sorted(os.sched_getaffinity(0)))
    assert set(available_cpus()) <= set(online_cpus())


def test_a_cpu_this_host_lacks_is_refused() -> None:
    """A CPU that the kernel would silently drop is refused, and the message names those there are."""
    with pytest.raises(CpuListError, match=f"^no CPU 8000 on this host; it has {format_cpu_list(online_cpus())}$"):
        check_cpus((0, 8000))
