"""Selecting benchmarks of pyperformance."""

import subprocess
import sys

import pytest

from benchyard.tasks.errors import SelectionError
from benchyard.tasks.progress import Progress, format_progress, parse_progress
from benchyard.tasks.suite import installed_suite


def test_no_selection_is_the_default_group_of_pyperformance() -> None:
    """Without a selection the benchmarks are those that `pyperformance list` prints."""
    command = [sys.executable, "-m", "pyperformance", "list"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    listed = {line.removeprefix("- ") for line in printed.splitlines() if line.startswith("- ")}
    chosen = installed_suite().select([])
    # pyperformance leaves out what its own Python, not the measured one, is too old for.
    assert listed <= set(chosen)
    assert len(chosen) - len(listed) < 10
    assert list(chosen) == sorted(chosen)


def test_names_groups_and_excludes_go_together() -> None:
    """A group without one of its members, and another benchmark, can be selected, also with commas."""
    math = installed_suite().select(["math"])
    assert "nbody" in math
    expected = tuple(sorted({*math, "json_loads"} - {"nbody"}))
    assert installed_suite().select(["math", "-nbody", "json_loads"]) == expected
    assert installed_suite().select(["math,-nbody, json_loads"]) == expected


def test_excludes_alone_are_taken_from_the_default_group() -> None:
    """With nothing but excludes, the rest of the default group is selected."""
    assert set(installed_suite().select([])) - set(installed_suite().select(["-nbody"])) == {"nbody"}


@pytest.mark.parametrize("name", ["nbdoy", "-nbdoy"])
def test_an_unknown_name_is_refused_with_the_nearest_right_one(name: str) -> None:
    """A misspelt name, also one to leave out, is an error that names the right one."""
    with pytest.raises(SelectionError, match=r"^unknown benchmark 'nbdoy'; did you mean 'nbody'\?$"):
        installed_suite().select([name])


@pytest.mark.parametrize("name", ["../../etc", "a\nb", "x" * 5000, "$(id)"])
def test_hostile_names_give_one_short_line(name: str) -> None:
    """A hostile name is refused in one line of bounded length."""
    with pytest.raises(SelectionError) as caught:
        installed_suite().select([name])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_an_empty_outcome_is_refused() -> None:
    """A selection that leaves nothing is an error."""
    with pytest.raises(SelectionError, match="leaves no benchmark"):
        installed_suite().select(["nbody", "-nbody"])


def test_the_suite_has_a_version() -> None:
    """The version is that of the installed pyperformance."""
    import importlib.metadata

    assert installed_suite().label == importlib.metadata.version("pyperformance")


def test_progress_survives_being_printed() -> None:
    """The line of a starting benchmark is read back; other lines are not taken for one."""
    progress = Progress(2, 3, "2to3")
    assert parse_progress(format_progress(progress) + "\n") == progress
    for line in [
        "",
        "nbody: Mean",
        " " + format_progress(progress),
        "benchyard: benchmark 4/3 nbody",
        "benchyard: benchmark 0/3 a",
    ]:
        assert parse_progress(line) is None
