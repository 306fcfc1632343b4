"""`benchyard submit`."""

import os
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from benchyard.client.waiting import Polling

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer

PYTHON = ("--python", "/opt/python/bin/python3")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking twenty times as often as users' commands do."""
    monkeypatch.setattr("benchyard.client.client.Polling", partial(Polling, first_s=0.05, longest_s=0.05))


def test_a_job_is_submitted(run: "Run", lab: "LabServer") -> None:
    """The options become the request, selections one by one, and the answer says how to watch the job."""
    options = ("--benchmarks", "nbody,-chaos", "--benchmarks", "-json", "--fast", "--affinity", "2-3")
    ran = run("submit", *PYTHON, *options, "--target", "linux-x86_64", "--reason", "new GC")
    assert ran.status == 0, ran.err
    assert ran.out == "job 1: queued\nWatch it with `benchyard job attach 1`.\n"
    assert lab.seen[-1].body == {
        "python": "/opt/python/bin/python3",
        "target": "linux-x86_64",
        "benchmarks": ["nbody", "-chaos", "-json"],
        "mode": "fast",
        "affinity": "2-3",
        "reason": "new GC",
        "run": True,
    }


def test_a_job_of_another_kind(run: "Run", lab: "LabServer") -> None:
    """--kind is sent as it is: the lab knows its kinds, and which of them need no interpreter."""
    assert run("submit", "--kind", "calibrate", "--host", "quiet-1").status == 0
    assert (lab.seen[-1].body["kind"], lab.seen[-1].body["host"]) == ("calibrate", "quiet-1")
    assert run("submit", *PYTHON, "--kind", "profile").status == 0
    assert run("job", "list", "--kind", "profile", "--columns", "job,kind").status == 0
    assert lab.seen[-1].query["kind"] == ["profile"]
    assert run("submit", "--benchmarks", "nbody").status == 2


def test_a_job_that_is_not_queued(run: "Run", lab: "LabServer") -> None:
    """--no-run makes the job only, and says how to queue it."""
    ran = run("submit", *PYTHON, "--no-run")
    assert ran.out == "job 1: not queued; queue it with `benchyard job run 1`\n"
    assert lab.jobs[1]["status"] == "created"


def test_json_is_the_server_s(run: "Run", lab: "LabServer") -> None:
    """--json prints the lab's own document, with what the client does not know."""
    ran = run("submit", *PYTHON, "--json")
    assert ran.json == lab.jobs[1] and ran.json["mood"] == {"of": "tomorrow"}


@pytest.mark.parametrize("how", ["--wait", "--attach"])
@pytest.mark.parametrize(("end", "status"), [("success", 0), ("failed", 1), ("canceled", 1), ("lost", 1)])
def test_the_exit_status_is_the_outcome(
    run: "Run", lab: "LabServer", server_module: ModuleType, how: str, end: str, status: int
) -> None:
    """After --wait or --attach the exit status is 0 for a success and 1 for any other end."""
    lab.scripts[0] = [{}, server_module.running(1, "nbody"), server_module.ended(end, error="why")]
    ran = run("submit", *PYTHON, how)
    assert ran.status == status
    assert ran.out.splitlines()[-1].endswith(f"job 1: {end} in 2 min 5 s: why")


def test_json_after_waiting_is_one_document(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """With --json the progress goes to stderr, and stdout has the ended job alone."""
    lab.scripts[0] = [{}, server_module.ended(results=[1])]
    ran = run("submit", *PYTHON, "--attach", "--json")
    assert ran.json["status"] == "success" and ran.json["results"] == [1]
    assert "job 1: queued" in ran.err


def test_attach_shows_where_the_job_is(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """Without a terminal each change is a plain line: place in the queue, benchmark of how many, outcome."""
    lab.add_job()
    lab.scripts[0] = [
        {},
        {"status": "building"},
        server_module.running(1, "nbody"),
        server_module.running(2, "fannkuch"),
        {"status": "storing", "progress": None},
        server_module.ended(results=[1], failed_benchmarks=[{"name": "fannkuch", "error": "killed", "log_tail": ""}]),
    ]
    ran = run("submit", *PYTHON, "--attach")
    assert [line.partition("  ")[2] for line in ran.out.splitlines()] == [
        "job 2: queued, 1 job ahead",
        "job 2: building: the interpreter is being prepared",
        "job 2: running on quiet-1, benchmark 1 of 2: nbody",
        "job 2: running on quiet-1, benchmark 2 of 2: fannkuch",
        "job 2: storing the result",
        "job 2: success in 2 min 5 s: result 1 (1 benchmark failed: fannkuch)",
    ]


@pytest.mark.parametrize("how", ["--wait", "--attach"])
def test_the_result_is_compared(run: "Run", lab: "LabServer", server_module: ModuleType, how: str) -> None:
    """--compare-to shows the comparison after the job, with the named result as the base."""
    lab.add_result()
    lab.add_result()
    lab.scripts[0] = [{}, server_module.ended(results=[2])]
    ran = run("submit", *PYTHON, how, "--compare-to", "1")
    assert ran.status == 0, ran.err
    job, _, comparison = ran.out.partition("job 1: success in 2 min 5 s: result 2\n\n")
    assert job and comparison == run("result", "compare", "1", "2").out


def test_comparison_as_json(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """With --json the job's document has the comparison too, which is null where there is no result to compare."""
    lab.add_result()
    lab.add_result()
    lab.scripts[0] = [{}, server_module.ended(results=[2])]
    assert run("submit", *PYTHON, "--wait", "--compare-to", "1", "--json").json["comparison"] == lab.comparison(1, 2)
    lab.scripts[0] = [{}, server_module.ended("failed", error="why")]
    ran = run("submit", *PYTHON, "--wait", "--compare-to", "1", "--json")
    assert (ran.status, ran.json["comparison"], ran.json["status"]) == (1, None, "failed")


def test_a_base_that_is_not_there(run: "Run", lab: "LabServer") -> None:
    """A result that cannot be the base is told before there is a job."""
    ran = run("submit", *PYTHON, "--wait", "--compare-to", "7")
    assert (ran.status, ran.err) == (1, "benchyard: result 7 does not exist\n")
    assert not lab.jobs


def test_what_the_lab_refuses_is_named(run: "Run") -> None:
    """A field that the lab refuses is one line with the field and the lab's words."""
    ran = run("submit", *PYTHON, "--benchmarks", "nbdoy")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == "benchyard: benchmarks: unknown benchmark 'nbdoy'; did you mean 'nbody'?\n"


@pytest.mark.parametrize(
    "argv",
    [
        (),
        (*PYTHON, "--fast", "--rigorous"),
        (*PYTHON, "--attach", "--wait"),
        (*PYTHON, "--no-run", "--wait"),
        (*PYTHON, "--compare-to", "1"),
        (*PYTHON, "--wait", "--compare-to", "first"),
        ("--python", "python3"),
        (*PYTHON, "--benchmarks", ""),
        (*PYTHON, "--benchmarks", " , "),
        (*PYTHON, "--benchmarks", "nbody", "--benchmarks", ","),
        (*PYTHON, "--affinity", ""),
        (*PYTHON, "--host", " "),
    ],
)
def test_wrong_usage(run: "Run", lab: "LabServer", argv: tuple[str, ...]) -> None:
    """Options that make no sense are exit status 2, before the lab is asked."""
    ran = run("submit", *argv)
    assert ran.status == 2 and ran.err.startswith("benchyard: ") and ran.err.count("\n") == 1
    assert not lab.seen


def test_a_relative_path_becomes_absolute(run: "Run", lab: "LabServer") -> None:
    """A path from here is sent as an absolute one, links and all."""
    run("submit", "--python", "./bin/../python")
    assert lab.seen[-1].body["python"] == os.path.join(os.getcwd(), "python")  # noqa: PTH118, PTH109
