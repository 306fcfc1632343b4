"""Starting, attaching to and stopping runs, with real supervisors."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchyard.tasks.cpus import available_cpus
from benchyard.tasks.errors import CpuListError, OptionError, RunNameError
from benchyard.tasks.host.journal import Journal, has_journal, journal_path, write_journal
from benchyard.tasks.hostlock import try_lock
from benchyard.tasks.rundir import KEPT_S, HostOrder, RunDir
from benchyard.tasks.runner import EXIT_CODES, active_runs, attach, list_runs, stop

# A command that waits for the file "go" in its directory, so that no test depends on time.
WAITING = "echo first; while [ ! -e {go} ]; do sleep 0.1; done; echo last"


def _waiting(go: Path) -> tuple[str, str, str]:
    return "sh", "-c", WAITING.format(go=go)


def test_a_run_is_started_and_followed_to_its_end(host: Any) -> None:
    """One attach starts the command once, gives its whole output and status 0, and logs START and END."""
    status, output = host.run("1.1", "sh", "-c", "echo out; echo err >&2")
    assert status == 0
    assert output.splitlines()[:2] == ["out", "err"]
    assert [words[1:3] for words in host.log()] == [["START", "1.1"], ["END", "1.1"]]
    assert [words[4] for words in host.log()] == ["running", "done"]


def test_old_runs_make_room(host: Any) -> None:
    """The directory of a run that ended long ago goes with the start of another; all others stay."""
    for name in ("1.1", "2.1", "3.1"):
        assert host.run(name, "true")[0] == 0
    long_ago = RunDir(host.state, "1.1")
    state = long_ago.read_state()
    assert state is not None and state.finished is not None
    long_ago.write_state(msgspec.structs.replace(state, finished=state.finished - KEPT_S))
    waiting = RunDir(host.state, "2.1")
    waiting.write_state(msgspec.structs.replace(state, state="waiting", finished=None, created=1.0))
    (host.state / "runs" / ".gone-0.1" / "parts").mkdir(parents=True)
    assert host.run("4.1", "true")[0] == 0
    assert sorted(path.name for path in (host.state / "runs").iterdir()) == ["2.1", "3.1", "4.1", "runs.log"]
    assert [outcome.run for outcome in list_runs(host.state)] == ["2.1", "3.1", "4.1"]


SYSTEMD_RUN = """\
#!/bin/sh
echo "$@" >> {asked}
{refuse}
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""


@pytest.mark.parametrize("refuse", ["", "echo 'Failed to start transient scope unit' >&2; exit 1"])
def test_where_systemd_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: Any, refuse: str) -> None:
    """The supervisor is started in a unit of its own; where systemd refuses, without. (Its program is a stand-in.)"""
    from benchyard.tasks import runner

    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "systemd-run").write_text(SYSTEMD_RUN.format(asked=tmp_path / "asked", refuse=refuse))
    (programs / "systemd-run").chmod(0o755)
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    assert runner.scope_command(host.state / "runs" / "1.1", tmp_path / "nowhere") == []
    command = runner.scope_command(host.state / "runs" / "1.1", tmp_path)
    monkeypatch.setattr(runner, "scope_command", lambda run: command)
    assert attach("1.1", ["true"], state=host.state, out=io.BytesIO()).state == "done"
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    assert asked.startswith("--no-ask-password --scope --quiet --collect --unit=benchyard-1.1-")
    assert host.starts("1.1") == 1


def test_a_failing_command_has_a_status_of_its_own(host: Any) -> None:
    """A command that fails, is killed or does not exist makes attach end with 73; its exit code is in the state."""
    assert host.run("1.1", "sh", "-c", "exit 74")[0] == 73
    assert host.read("1.1")["rc"] == 74
    assert host.run("1.2", "sh", "-c", "kill -SEGV $$")[0] == 73
    assert host.read("1.2")["rc"] == -signal.SIGSEGV
    status, output = host.run("1.3", "/no/such/program")
    assert (status, host.read("1.3")["rc"]) == (73, 127)
    assert "/no/such/program" in output


def test_a_finished_run_is_shown_again_and_not_repeated(host: Any) -> None:
    """Attaching to a finished run, with whatever command, gives the same output and status and one START."""
    first = host.run("1.1", "sh", "-c", "echo once; exit 3")
    assert host.run("1.1", "sh", "-c", "echo twice") == first
    assert host.starts("1.1") == 1


def test_two_attaches_at_once_make_one_start(host: Any, tmp_path: Path, wait_for: Any) -> None:
    """Several clients that attach in the same moment all see the whole output of one run."""
    clients = [host.start("1.1", *_waiting(tmp_path / "go")) for _ in range(4)]
    wait_for(lambda: "first" in host.output("1.1"), "the command's first line")
    (tmp_path / "go").touch()
    for client in clients:
        output = client.communicate(timeout=60)[0].decode()
        assert client.returncode == 0
        assert output.splitlines()[:2] == ["first", "last"]
    assert host.starts("1.1") == 1


def test_killing_the_client_leaves_the_run(host: Any, tmp_path: Path, wait_for: Any) -> None:
    """After kill -9 of the attached client, the next one gets the whole output of the one run."""
    client = host.start("1.1", *_waiting(tmp_path / "go"))
    wait_for(lambda: "first" in host.output("1.1"), "the command's first line")
    client.kill()
    client.wait(timeout=10)
    assert active_runs(host.state) == ("1.1",)
    again = host.start("1.1", *_waiting(tmp_path / "go"))
    (tmp_path / "go").touch()
    assert again.communicate(timeout=60)[0].decode().splitlines()[:2] == ["first", "last"]
    assert again.returncode == 0
    assert host.starts("1.1") == 1
    assert active_runs(host.state) == ()


def test_who_attaches_again_goes_on_where_it_was(host: Any, tmp_path: Path, wait_for: Any) -> None:
    """After kill -9 of the client, the next is shown the lines that the first has not; a later one shows all again."""
    client = host.start("1.1", *_waiting(tmp_path / "go"), more=("--seen", "0"))
    assert client.stdout.readline() == b"first\n"
    client.kill()
    client.wait(timeout=10)
    again = host.start("1.1", "true", more=("--seen", "1"))
    (tmp_path / "go").touch()
    assert again.communicate(timeout=60)[0].decode().splitlines()[:-1] == ["last"]
    assert host.run("1.1", "true", more=("--seen", "2"))[1].splitlines()[:-1] == []
    assert host.run("1.1", "true")[1].splitlines()[:-1] == ["first", "last"]
    assert host.starts("1.1") == 1


def test_killing_the_client_while_it_starts_makes_one_start(host: Any, wait_for: Any) -> None:
    """Clients killed at any moment of a start, then another: the command ran once."""
    for delay in range(8):
        run = f"2.{delay}"
        client = host.start(run, "sh", "-c", "echo done")
        order = host.state / "runs" / run / "order.json"
        if delay % 2:
            wait_for(lambda order=order: order.exists(), "the run's order")
        client.kill()
        client.wait(timeout=10)
        assert host.run(run, "sh", "-c", "echo done")[0] == 0
        assert host.output(run) == "done\n"
        assert host.starts(run) == 1


def test_stop_ends_the_whole_tree(host: Any, tmp_path: Path, wait_for: Any, gone: Any) -> None:
    """A stop ends the command and its grandchild in a session of its own; attach says 74, now and later."""
    command = f"setsid sh -c 'echo $$ > {tmp_path}/pid; trap \"\" TERM; while :; do sleep 1; done' & wait"
    client = host.start("1.1", "env", "-u", "BENCHYARD_RUN", "sh", "-c", command)
    text = wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the grandchild")
    assert stop("1.1", state=host.state).state == "canceled"
    assert gone(int(text))
    client.communicate(timeout=60)
    assert client.returncode == 74
    assert host.run("1.1", "echo", "again")[0] == 74
    assert host.starts("1.1") == 1


def test_a_run_stopped_before_its_start_never_starts(host: Any) -> None:
    """A stop that comes first forbids a later attach to start the command."""
    assert stop("1.1", state=host.state).state == "canceled"
    status, output = host.run("1.1", "echo", "hello")
    assert status == 74
    assert "hello" not in output
    assert host.starts("1.1") == 0


def test_a_shutdown_is_not_a_cancel(host: Any, wait_for: Any) -> None:
    """A run stopped by the lab's shutdown is interrupted (77); a person's cancel is not softened by it."""
    client = host.start("1.1", "sleep", "600")
    wait_for(lambda: host.read("1.1").get("state") == "running", "the run")
    assert stop("1.1", state=host.state, outcome="interrupted").state == "interrupted"
    client.communicate(timeout=60)
    assert client.returncode == 77
    # It is over: a later cancel does not change history.
    assert stop("1.1", state=host.state).state == "interrupted"


def test_a_run_whose_supervisor_the_system_ends_is_lost(host: Any, wait_for: Any, gone: Any) -> None:
    """A SIGTERM that nobody explained, as at a shutdown of the host, ends the run; it is lost."""
    client = host.start("1.1", "sleep", "600")
    state = wait_for(lambda: host.read("1.1").get("pid") and host.read("1.1"), "the command")
    os.kill(state["supervisor"], signal.SIGTERM)
    client.communicate(timeout=60)
    assert client.returncode == 76
    assert gone(state["pid"])


def test_the_time_limit_ends_what_ignores_sigterm(host: Any, gone: Any, wait_for: Any) -> None:
    """A command that ignores SIGTERM is ended at its time limit, also when nobody is attached; attach says 75."""
    client = host.start("1.1", "sh", "-c", "trap '' TERM; echo $$; while :; do sleep 1; done", limit=1.5)
    pid = wait_for(lambda: host.output("1.1").strip(), "the command's pid")
    client.kill()
    client.wait(timeout=10)
    wait_for(lambda: host.read("1.1")["state"] == "timeout", "the time limit")
    assert gone(int(pid))
    status, output = host.run("1.1", "true")
    assert status == 75
    assert "time limit of 1.5 s" in output


def test_a_command_leaves_nothing_behind(host: Any, gone: Any) -> None:
    """What a command that ended by itself left running is ended with the run."""
    status, output = host.run("1.1", "sh", "-c", "setsid sleep 600 > /dev/null 2>&1 & echo $!")
    assert status == 0
    assert gone(int(output.splitlines()[0]))


def test_a_killed_supervisor_loses_the_run_and_its_processes(
    host: Any, tmp_path: Path, wait_for: Any, gone: Any
) -> None:
    """After kill -9 of the supervisor the run is lost (76), and its marked processes are gone."""
    command = f"setsid sh -c 'echo $$ > {tmp_path}/pid; trap \"\" TERM; while :; do sleep 1; done' & wait"
    client = host.start("1.1", "sh", "-c", command)
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the grandchild")
    state = host.read("1.1")
    os.kill(state["supervisor"], signal.SIGKILL)
    client.communicate(timeout=60)
    assert client.returncode == 76
    assert gone(state["pid"])
    assert gone(int((tmp_path / "pid").read_text()))
    assert host.read("1.1")["state"] == "lost"
    assert host.run("1.1", "true")[0] == 76
    assert [words[1] for words in host.log()] == ["START", "END"]


def test_a_restarted_host_has_lost_its_runs(host: Any, wait_for: Any) -> None:
    """A run whose state is of another boot of the host is lost, and says so."""
    client = host.start("1.1", "sleep", "600")
    state = wait_for(lambda: host.read("1.1").get("pid") and host.read("1.1"), "the command")
    client.kill()
    client.wait(timeout=10)
    os.kill(state["supervisor"], signal.SIGKILL)
    path = host.state / "runs" / "1.1" / "state.json"
    path.write_text(path.read_text().replace(state["boot_id"], "another"))
    assert host.run("1.1", "true")[0] == 76
    assert host.read("1.1")["reason"] == "the host was restarted"


def test_a_canceled_run_whose_supervisor_was_killed_is_canceled(host: Any, wait_for: Any, gone: Any) -> None:
    """A stop ends what a killed supervisor left, and the run counts as canceled."""
    client = host.start("1.1", "sh", "-c", "setsid sleep 600 & echo $!; wait")
    pid = wait_for(lambda: host.output("1.1").strip(), "the command's child")
    client.kill()
    client.wait(timeout=10)
    os.kill(host.read("1.1")["supervisor"], signal.SIGKILL)
    assert stop("1.1", state=host.state).state == "canceled"
    assert gone(int(pid))


@pytest.mark.parametrize("by", ["attach", "stop"])
def test_what_a_killed_supervisor_has_set_up_is_put_back(host: Any, wait_for: Any, by: str) -> None:
    """Whoever finds the run lost puts the host back (here what is noted of an earlier boot: no knob is touched)."""
    client = host.start("1.1", "sleep", "600")
    state = wait_for(lambda: host.read("1.1").get("pid") and host.read("1.1"), "the command")
    client.kill()
    client.wait(timeout=10)
    run = RunDir(host.state, "1.1")
    run.write_order(msgspec.structs.replace(run.read_order(), host=HostOrder()))
    write_journal(run.state_dir, Journal("another", ()))
    os.kill(state["supervisor"], signal.SIGKILL)
    if by == "attach":
        assert host.run("1.1", "true")[0] == 76
    else:
        assert stop("1.1", state=host.state).state == "canceled"
    assert not has_journal(run.state_dir)


def test_a_host_that_cannot_be_put_back(host: Any, wait_for: Any) -> None:
    """The run is lost all the same, and its output says what is left to do."""
    client = host.start("1.1", "sleep", "600")
    state = wait_for(lambda: host.read("1.1").get("pid") and host.read("1.1"), "the command")
    client.kill()
    client.wait(timeout=10)
    run = RunDir(host.state, "1.1")
    run.write_order(msgspec.structs.replace(run.read_order(), host=HostOrder()))
    journal_path(run.state_dir).write_text("{")
    os.kill(state["supervisor"], signal.SIGKILL)
    status, output = host.run("1.1", "true")
    assert status == 76
    assert "tuning.json is damaged" in output
    journal_path(run.state_dir).unlink()


def test_the_command_is_pinned_and_its_supervisor_is_not(host: Any, wait_for: Any) -> None:
    """The command runs on the given CPUs only; its supervisor stays where it was started."""
    cpus = available_cpus()
    client = host.start("1.1", "sh", "-c", "grep Cpus_allowed_list /proc/self/status; sleep 600", cpus=str(cpus[-1]))
    line = wait_for(lambda: host.output("1.1").strip(), "the command's CPUs")
    assert line.split() == ["Cpus_allowed_list:", str(cpus[-1])]
    assert tuple(sorted(os.sched_getaffinity(host.read("1.1")["supervisor"]))) == cpus
    stop("1.1", state=host.state)
    client.communicate(timeout=60)


@pytest.fixture
def first_cpu_only() -> Iterator[Path]:
    """A group of processes that may use CPU 0 alone."""
    group = Path("/sys/fs/cgroup/cpuset") / f"benchyard-test-{os.getpid()}"
    if len(available_cpus()) < 2 or not os.access(group.parent, os.W_OK):
        pytest.xfail("needs two CPUs, and the right to make a cpuset")
    group.mkdir()
    try:
        (group / "cpuset.cpus").write_text("0")
        (group / "cpuset.mems").write_text("0")
        yield group
    finally:
        group.rmdir()


def test_a_cpu_that_cannot_be_had_is_named(host: Any, first_cpu_only: Path) -> None:
    """A run whose CPU is there, but kept from it, ends with that reason."""
    enter = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(first_cpu_only)]
    argv = [*enter, *host.argv("1.1", "true", cpus="1")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 73
    assert "CPU 1 cannot be had here: it is switched off, or shielded from this run" in done.stderr


def test_the_command_bears_the_mark_and_runs_where_it_was_asked_to(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command has the run's directory in BENCHYARD_RUN and the caller's working directory; stdin is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCHYARD_RUN", "of another run")
    _, output = host.run("1.1", "sh", "-c", "echo $BENCHYARD_RUN; pwd; cat")
    assert output.splitlines()[:2] == [
        str(Path(os.path.realpath(host.state)) / "runs" / "1.1"),
        os.path.realpath(tmp_path),
    ]


def test_no_descriptor_of_the_client_reaches_the_run(host: Any, wait_for: Any) -> None:
    """The supervisor has its log, its locks and nothing else open; the control lock is free while a run lasts."""
    client = host.start("1.1", "sleep", "600")
    state = wait_for(lambda: host.read("1.1").get("pid") and host.read("1.1"), "the command")
    directory = host.state / "runs" / "1.1"

    def opened() -> set[str]:
        return {str(entry.readlink()) for entry in Path(f"/proc/{state['supervisor']}/fd").iterdir()}

    real = os.path.realpath(host.state)
    assert opened() == {
        "/dev/null",
        *(f"{real}/{name}" for name in ("runs/1.1/output.log", "runs/1.1/alive.lock", "host.lock")),
    }
    control = try_lock(directory / "control.lock")
    assert control is not None
    os.close(control)
    stop("1.1", state=host.state)
    client.communicate(timeout=60)


@pytest.mark.parametrize(
    "run", ["", ".", "..", ".hidden", "a/b", "../x", "a b", "a\n", "x" * 65, "é", "1.1\0", "runs.log"]
)
def test_bad_names_are_refused_and_leave_nothing(tmp_path: Path, run: str) -> None:
    """A name that may not become a directory is a RunNameError of one line, and nothing is written."""
    with pytest.raises(RunNameError, match=r"^bad run name [^\n]+$"):
        attach(run, ["true"], state=tmp_path / "state", out=io.BytesIO())
    with pytest.raises(RunNameError):
        stop(run, state=tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_bad_options_are_refused_before_anything_starts(tmp_path: Path) -> None:
    """No command, a senseless time limit and CPUs this host lacks are refused, and nothing is written."""
    state = tmp_path / "state"
    with pytest.raises(OptionError, match="no command"):
        attach("1.1", [], state=state, out=io.BytesIO())
    with pytest.raises(OptionError, match="not UTF-8"):
        attach("1.1", ["echo", "\udcff"], state=state, out=io.BytesIO())
    for limit in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="time limit"):
            attach("1.1", ["true"], state=state, limit_s=limit, out=io.BytesIO())
    with pytest.raises(CpuListError, match="no CPU 8000"):
        attach("1.1", ["true"], state=state, cpus=(8000,), out=io.BytesIO())
    with pytest.raises(OptionError, match="canceled, interrupted"):
        stop("1.1", state=state, outcome="done")
    assert not state.exists()


def test_large_output_is_copied_whole(tmp_path: Path) -> None:
    """Several megabytes of output reach whoever attaches, byte for byte, also through a link to the state."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    code = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 20000)"
    out = io.BytesIO()
    outcome = attach("job-1_a.1", [sys.executable, "-c", code], state=tmp_path / "link", out=out)
    assert (outcome.state, outcome.rc, outcome.exit_code) == ("done", 0, 0)
    assert out.getvalue() == bytes(range(256)) * 20000
    assert [run.run for run in list_runs(tmp_path / "real")] == ["job-1_a.1"]


def test_exit_codes_are_apart() -> None:
    """Each final state has an exit code of its own, apart from those of a command that is done."""
    assert EXIT_CODES == {"canceled": 74, "timeout": 75, "lost": 76, "interrupted": 77}
