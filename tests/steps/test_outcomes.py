"""What became of a run, in a status, a result of Buildbot's, and words."""

from collections.abc import Callable
from typing import Any

import pytest
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS

from benchyard.steps.outcomes import Ending, ending_of, ending_of_attempt, failure_text, lost_for_good
from benchyard.store.rows import FINAL_ATTEMPT_STATUSES, Attempt
from benchyard.tasks.runner import EXIT_CODES, FAILED

MakeAttempt = Callable[..., Attempt]

RESULTS = {
    "success": SUCCESS,
    "failed": FAILURE,
    "canceled": CANCELLED,
    "timeout": FAILURE,
    "lost": FAILURE,
    "interrupted": FAILURE,
}


def found(exit_code: int) -> Ending:
    ending = ending_of(exit_code)
    assert ending is not None
    return ending


def test_exit_codes_are_the_runners() -> None:
    """Each exit code that the runner gives is known by its own name, and with its result."""
    codes = {0: "success", FAILED: "failed", **{code: state for state, code in EXIT_CODES.items()}}
    assert {code: found(code).status for code in codes} == codes
    assert {found(code).status: found(code).results for code in codes} == RESULTS


def test_every_end_of_an_attempt_is_known(make_attempt: MakeAttempt) -> None:
    """Every final status of an attempt has its result, and keeps the cause that was stored."""
    endings = {s: ending_of_attempt(make_attempt(status=s, cause=f"why {s}")) for s in FINAL_ATTEMPT_STATUSES}
    assert {status: ending.results for status, ending in endings.items()} == RESULTS
    assert {ending.cause for ending in endings.values()} == {f"why {status}" for status in FINAL_ATTEMPT_STATUSES}


@pytest.mark.parametrize("exit_code", [None, -9, 1, 2, 127])
def test_unknown_end(exit_code: int | None) -> None:
    """A lost connection, or a command that was killed or broke by itself, says nothing of the run: it may go on."""
    assert ending_of(exit_code) is None


def test_failed_benchmarks(make_attempt: MakeAttempt, report: dict[str, Any]) -> None:
    """Those that did not succeed are told with their error and the end of their log; no report has none."""
    failed = make_attempt(report=report).failed_benchmarks
    assert failed == ({"name": "2to3", "error": "killed by signal 11", "log_tail": "boom"},)
    assert make_attempt().failed_benchmarks == ()
    assert make_attempt(report={}).failed_benchmarks == ()


def test_text_of_failed_benchmarks() -> None:
    """A run in which all failed names three of them and says that there are more."""
    many = {"benchmarks": [{"name": f"b{n}", "status": "failed", "error": "e"} for n in range(5)]}
    assert failure_text(found(FAILED), many, "x") == "all benchmarks failed: b0: e; b1: e; b2: e ..."
    assert failure_text(found(FAILED), {"benchmarks": many["benchmarks"][:1]}, "x") == "all benchmarks failed: b0: e"


def test_text_without_report() -> None:
    """A run that got nowhere is told by its last line."""
    assert failure_text(found(FAILED), None, "no module pyperf") == "the run failed: no module pyperf"
    assert failure_text(found(FAILED), None, "") == "the run failed without a word; see its log"


@pytest.mark.parametrize("exit_code", sorted(EXIT_CODES.values()))
def test_text_of_other_ends(exit_code: int) -> None:
    """A run that was ended from outside is told by that, not by its log."""
    assert failure_text(found(exit_code), None, "line") == found(exit_code).cause


def test_lost_for_good(make_attempt: MakeAttempt) -> None:
    """A job that is given up names each lost attempt, and none that the lab itself interrupted."""
    tried = [make_attempt(status="lost", cause="boot"), make_attempt(status="interrupted", cause="down")]
    assert lost_for_good(tried) == "no attempts left (attempt 2 on bench: boot)"
