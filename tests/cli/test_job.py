"""`benchyard job`."""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer


def test_list_is_a_table(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`job list` shows the newest first, and values whole where it is not a terminal."""
    lab.add_job(**server_module.ended())
    lab.add_job(spec={"python": "/" + "long/" * 40 + "python3", "selection": []})
    ran = run("job", "list")
    lines = ran.out.splitlines()
    assert lines[0].split() == [
        "JOB",
        "STATUS",
        "TARGET",
        "HOST",
        "PYTHON",
        "BENCHMARKS",
        "OWNER",
        "CREATED",
        "TIME",
    ]
    assert lines[1].split()[:2] == ["2", "queued"] and "/" + "long/" * 40 + "python3" in lines[1]
    assert lines[2].split()[:2] == ["1", "success"] and lines[2].endswith("2 min 5 s")
    assert "\x1b" not in ran.out and not any(line.endswith(" ") for line in lines)


def test_an_empty_list_says_so(run: "Run") -> None:
    """`job list` and `job current` of an idle lab are a sentence and an empty JSON list."""
    assert run("job", "list").out == "no jobs\n"
    assert run("job", "current").out == "no job is current\n"
    assert run("job", "list", "--json").json == {"items": [], "next": None}


def test_list_stops_and_goes_on(run: "Run", lab: "LabServer") -> None:
    """--limit cuts the list and says so; its JSON has the cursor with which to go on; --all has them all."""
    for _ in range(5):
        lab.add_job()
    assert "the first 2; more with --limit N or --all" in run("job", "list", "--limit", "2").err
    first = run("job", "list", "--limit", "2", "--json").json
    rest = run("job", "list", "--cursor", first["next"], "--json").json
    assert [job["id"] for job in (*first["items"], *rest["items"])] == [5, 4, 3, 2, 1]
    assert len(run("job", "list", "--all", "--json").json["items"]) == 5


def test_list_takes_filters(run: "Run", lab: "LabServer") -> None:
    """--status may be repeated; --user, with --owner as its older name, chooses, too."""
    lab.add_job(status="failed")
    lab.add_job(status="lost", owner="eve")
    ran = run("job", "list", "--status", "failed", "--status", "lost", "--owner", "eve", "--json")
    assert [job["id"] for job in ran.json["items"]] == [2]


def test_get_shows_what_is_known(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`job get` shows the job field by field, leaves empty ones out; --json is the lab's document."""
    attempts = [{"number": 1, "host": "quiet-1", "status": "lost", "cause": "host rebooted"}]
    failed = [{"name": "fannkuch", "error": "killed by signal 11", "log_tail": ""}]
    lab.add_job(**server_module.ended(attempts=attempts, failed_benchmarks=failed, results=[4]))
    ran = run("job", "get", "1")
    fields = {line[:15].strip(): line[15:].strip() for line in ran.out.splitlines()}
    assert fields["attempt 1"] == "lost on quiet-1: host rebooted"
    assert fields["failed fannkuch"] == "killed by signal 11"
    assert fields["time"] == "2 min 5 s" and "reason" not in fields
    assert run("job", "get", "1", "--json").json == lab.jobs[1]


def test_jobs_by_word(run: "Run", lab: "LabServer") -> None:
    """`last` is the newest job, `current` the one that the lab is busy with."""
    lab.add_job(status="running")
    lab.add_job()
    assert run("job", "get", "last", "--json").json["id"] == 2
    assert run("job", "get", "current", "--json").json["id"] == 1


def test_current_must_be_clear(run: "Run", lab: "LabServer") -> None:
    """`current` is an error with exit status 1 when there is none, and names them when there are several."""
    ran = run("job", "get", "current")
    assert (ran.status, ran.err) == (1, "benchyard: no job is current; see `benchyard job list`\n")
    lab.add_job(status="running")
    lab.add_job(status="ready")
    ran = run("job", "get", "current")
    assert ran.err == "benchyard: 2 jobs are current (1, 2); name one by its number\n"


@pytest.mark.parametrize("name", ["first", "-1", "1.5", "9" * 30, "²"])
def test_what_names_no_job(run: "Run", lab: "LabServer", name: str) -> None:
    """What cannot be a job's name is wrong usage; the lab is not asked."""
    ran = run("job", "get", "--", name)
    assert ran.status == 2 and "is not the number of a job, nor current nor last" in ran.err
    assert not lab.seen


def test_a_missing_job(run: "Run") -> None:
    """A job that does not exist is one line in the lab's words, exit status 1."""
    ran = run("job", "get", "99")
    assert (ran.status, ran.out, ran.err) == (1, "", "benchyard: job 99 does not exist\n")


def test_run_and_cancel(run: "Run", lab: "LabServer") -> None:
    """`job run` queues, `job cancel` ends, and what the state does not allow is an error of one line."""
    lab.add_job(status="created")
    assert run("job", "run", "1").out == "job 1: queued\n"
    assert run("job", "cancel", "1").out == "job 1: canceled\n"
    ran = run("job", "cancel", "1")
    assert (ran.status, ran.err) == (1, "benchyard: job 1 has ended: canceled\n")


def test_a_job_is_added(run: "Run", lab: "LabServer") -> None:
    """`job add` is `submit` without the watching; --json prints the job."""
    ran = run("job", "add", "--python", "/opt/p", "--benchmarks", "nbody,-chaos", "--no-run", "--reason", "later")
    assert ran.out == "job 1: not queued; queue it with `benchyard job run 1`\n"
    assert lab.seen[-1].body["benchmarks"] == ["nbody", "-chaos"] and lab.seen[-1].body["reason"] == "later"
    assert run("job", "add", "--python", "/opt/p", "--json").json == lab.jobs[2]
    assert run("job", "add", "--python", "/opt/p", "--fast", "--rigorous").status == 2


def test_a_job_is_changed(run: "Run", lab: "LabServer") -> None:
    """`job modify` sends what was given alone; an empty host or affinity takes it back."""
    lab.add_job(host="quiet-1")
    ran = run("job", "modify", "1", "--benchmarks", "nbody,-chaos", "--mode", "rigorous", "--host", "")
    assert (ran.status, ran.out) == (0, "job 1: changed (benchmarks, mode, host)\n"), ran.err
    assert lab.seen[-1].body == {"benchmarks": ["nbody", "-chaos"], "mode": "rigorous", "host": None}
    assert run("job", "modify", "last", "--reason", "warm", "--json").json["reason"] == "warm"
    assert run("job", "modify", "1", "--benchmarks", "").status == 2
    ran = run("job", "modify", "1")
    assert ran.status == 2 and "say what to change" in ran.err


def test_a_job_is_switched_and_removed(run: "Run", lab: "LabServer") -> None:
    """`job disable`, `enable` and `remove` say what the job is then; a disabled job shows as such."""
    lab.add_job()
    assert run("job", "disable", "1").out == "job 1: disabled, queued\n"
    assert "queued, disabled" in run("job", "list").out
    assert "disabled    by " in run("job", "get", "1").out
    assert run("job", "enable", "1", "--json").json["enabled"] is True
    assert run("job", "remove", "last").out == "job 1: removed\n"
    assert not lab.jobs


def test_wait_has_a_limit(run: "Run", lab: "LabServer") -> None:
    """`job wait --timeout` gives up with exit status 1 and says that the job goes on."""
    lab.add_job()
    ran = run("job", "wait", "1", "--timeout", "0.05")
    assert (ran.status, ran.err) == (1, "benchyard: job 1 has not ended after 0.05 s; it goes on\n")


def test_wait_for_a_job_that_is_not_queued(run: "Run", lab: "LabServer") -> None:
    """`job wait` says that a job is not queued and how to queue it, since the wait may be a long one."""
    lab.add_job(status="created")
    ran = run("job", "wait", "1", "--timeout", "0.05")
    assert "job 1: not queued; queue it with `benchyard job run 1`" in ran.err


def test_wait_tells_the_outcome(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`job wait` of an ended job returns at once with its outcome."""
    lab.add_job(**server_module.ended("failed", error="no benchmark could be measured"))
    ran = run("job", "wait", "1")
    assert ran.status == 1
    assert ran.out == "job 1: failed in 2 min 5 s: no benchmark could be measured\n"


def test_log_is_printed_as_it_is(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`job log` prints the text of the log, with --follow too; --json puts it into a document."""
    lab.add_job(**server_module.ended())
    lab.logs[1] = "fünf [bold]\nno newline".encode()
    assert run("job", "log", "1").out == "fünf [bold]\nno newline"
    assert run("job", "log", "last", "--follow").out == "fünf [bold]\nno newline"
    assert run("job", "log", "1", "--json").json == {"job": 1, "log": "fünf [bold]\nno newline"}


@pytest.mark.parametrize(
    ("status", "said"),
    [("queued", "is queued; it has no log yet"), ("canceled", "is canceled; it has no log")],
)
def test_an_empty_log_is_explained(run: "Run", lab: "LabServer", status: str, said: str) -> None:
    """`job log` of a job without a log says so on stderr, and prints nothing else."""
    lab.add_job(status=status)
    ran = run("job", "log", "1")
    assert (ran.status, ran.out, ran.err) == (0, "", f"job 1 {said}\n")


def test_cancel_says_what_comes_next(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`job cancel` of a running job says where it is being stopped and how to see its end."""
    lab.add_job(**server_module.running(1, "nbody"))
    lab.slow_cancel = True
    ran = run("job", "cancel", "current")
    said = "job 1: cancel asked for, it is being stopped on quiet-1; see the end with `benchyard job wait 1`\n"
    assert (ran.status, ran.out) == (0, said)


def test_current_jobs_in_columns(run: "Run", lab: "LabServer") -> None:
    """`job current` takes --columns, and --json prints a list."""
    lab.add_job(status="running")
    assert run("job", "current", "--columns", "status,id").out.split() == ["STATUS", "JOB", "running", "1"]
    assert [job["id"] for job in run("job", "current", "--json").json["items"]] == [1]


def test_text_from_the_lab_cannot_forge_lines(run: "Run", lab: "LabServer") -> None:
    """Control characters in what others wrote do not reach the terminal."""
    lab.add_job(reason="x\x1b[2Jy\nz", owner="eve\r\n")
    for argv in (("job", "get", "1"), ("job", "list")):
        out = run(*argv).out
        assert "\x1b" not in out and "\r" not in out
    assert "reason      x [2Jy z\n" in run("job", "get", "1").out


class Terminal:
    """A command on a terminal of its own, 60 columns wide."""

    def __init__(self, *argv: str, url: str, token: str) -> None:
        self.controller, terminal = pty.openpty()
        environ = os.environ | {
            "BENCHYARD_URL": url,
            "BENCHYARD_TOKEN": token,
            "COLUMNS": "60",
            "TERM": "xterm",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchyard.cli", *argv],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environ,
            start_new_session=True,
        )
        os.close(terminal)
        self.shown = ""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.controller)

    def read_until(self, text: str) -> None:
        deadline = time.monotonic() + 60
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            self.shown += os.read(self.controller, 65536).decode()

    def read_all(self) -> int:
        """Read up to the end and return the exit status."""
        while True:
            try:
                piece = os.read(self.controller, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not piece:
                break
            self.shown += piece.decode()
        return self.process.wait(60)


def test_attach_is_live_on_a_terminal(lab: "LabServer", server_module: ModuleType) -> None:
    """On a terminal `job attach` redraws a line with benchmark, number and time, and leaves the outcome."""
    lab.add_job({}, server_module.running(2, "fannkuch"), server_module.ended(results=[1]))
    with Terminal("job", "attach", "1", url=lab.url, token=server_module.TOKEN) as terminal:
        assert terminal.read_all() == 0
    assert "2 of 2: fannkuch" in terminal.shown and "\x1b[2K" in terminal.shown
    assert "job 1: success in 2 min 5 s: result 1" in terminal.shown


def test_ctrl_c_leaves_the_job_running(lab: "LabServer", server_module: ModuleType) -> None:
    """Ctrl-C ends the watching, not the job, and says how to attach again."""
    lab.add_job(server_module.running(1, "nbody"))
    with Terminal("job", "attach", "1", url=lab.url, token=server_module.TOKEN) as terminal:
        terminal.read_until("1 of 2: nbody")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.read_all() == 130
    assert "job 1 goes on; attach again with `benchyard job attach 1`" in terminal.shown
    assert "Traceback" not in terminal.shown
    assert not any(seen.method == "POST" for seen in lab.seen)


def test_ctrl_c_leaves_a_followed_log(lab: "LabServer", server_module: ModuleType) -> None:
    """Ctrl-C ends `job log --follow`, not the job."""
    lab.add_job(**server_module.running(1, "nbody"))
    lab.logs[1] = b"first\n"
    lab.open_log = threading.Event()
    with Terminal("job", "log", "1", "--follow", url=lab.url, token=server_module.TOKEN) as terminal:
        terminal.read_until("first")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.read_all() == 130
    lab.open_log.set()
    assert "job 1 goes on" in terminal.shown and "Traceback" not in terminal.shown


def test_tables_fit_the_terminal(lab: "LabServer", server_module: ModuleType) -> None:
    """On a narrow terminal long values are cut, so that no line of a table is broken."""
    lab.add_job(spec={"python": "/" + "long/" * 40 + "python3", "selection": ["nbody"] * 30})
    with Terminal("job", "list", url=lab.url, token=server_module.TOKEN) as terminal:
        assert terminal.read_all() == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.shown).splitlines()
    assert lines[0].split() == ["JOB", "STATUS", "PYTHON", "BENCHMARKS", "CREATED", "TIME"]
    assert lines[1].split()[:3] == ["1", "queued", "…/long/python3"]
    assert lines[2:] == ["(no room for target, host, owner; --columns chooses)"]
    assert max(map(len, lines)) <= 60
