"""Parts of a build: nothing of one lives on when it is over, and nothing is measured before that."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchyard.tasks.host.journal import Journal, has_journal, write_journal
from benchyard.tasks.host.setup import mend_host
from benchyard.tasks.hostlock import GOING_ON, WAITING, hold_host, try_lock
from benchyard.tasks.processes import BUILD_MARK, kill_all, marked

_SLEEP = "setsid sh -c 'echo $$ > {file}.new; mv {file}.new {file}; exec sleep 600'"

#: A process of a session of its own, without its builder's mark, the host's lock and the output.
DAEMON = f"env -u {BUILD_MARK} {_SLEEP} < /dev/null > /dev/null 2>&1 3>&- 4>&- 5>&- &"

#: One that keeps the lock, the mark and the output.
JOB = f"{_SLEEP} &"


class Builder:
    """A builder's folder on a host, and parts of builds in it."""

    def __init__(self, root: Path) -> None:
        self.state, self.folder = root / "state", root / "builder"
        self.folder.mkdir()
        self.parts: list[subprocess.Popen[bytes]] = []

    def start(self, *argv: str) -> "subprocess.Popen[bytes]":
        """Start a part, as a worker does: in a process group of its own."""
        command = [sys.executable, "-m", "benchyard.cli", "task", "build-step", "--state", str(self.state), "--", *argv]
        environ = {**os.environ, BUILD_MARK: str(self.folder)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        part = subprocess.Popen(command, cwd=self.folder, env=environ, process_group=0, **pipes)  # type: ignore[call-overload]
        self.parts.append(part)
        return part  # type: ignore[no-any-return]

    def shell(self, script: str) -> "subprocess.Popen[bytes]":
        return self.start("sh", "-c", script)

    def is_free(self) -> bool:
        """Whether a measurement could begin."""
        fd = try_lock(self.state / "host.lock")
        if fd is not None:
            os.close(fd)
        return fd is not None

    def pid(self, name: str) -> int | None:
        """The process that has written its number into a file."""
        path = self.folder / name
        return int(path.read_text()) if path.exists() else None


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    """A builder; whatever a test leaves running is ended."""
    builder = Builder(tmp_path)
    yield builder
    for part in builder.parts:
        part.kill()
        part.communicate(timeout=10)
    assert not kill_all(lambda: marked(builder.folder, BUILD_MARK))


@pytest.mark.parametrize("left", [JOB, DAEMON], ids=["job", "daemon"])
def test_what_a_build_leaves_running_is_ended(builder: Builder, gone: Callable[[int], bool], left: str) -> None:
    """A process in the background, of another session or with another environment, ends with its part of the build."""
    part = builder.shell(left.format(file="left") + " while [ ! -e left ]; do sleep 0.1; done; echo built; exit 3")
    said, _errors = part.communicate(timeout=60)
    assert (part.returncode, said) == (3, b"built\n")
    left_over = builder.pid("left")
    assert left_over is not None
    assert gone(left_over)
    assert builder.is_free()


@pytest.mark.parametrize("left", [JOB, DAEMON], ids=["job", "daemon"])
def test_cancel(builder: Builder, wait_for: Any, gone: Callable[[int], bool], left: str) -> None:
    """What a worker cancels ends with all it has started; until then the host is not free."""
    part = builder.shell(left.format(file="left") + " exec sleep 600")
    left_over = wait_for(lambda: builder.pid("left"), "the process in the background")
    assert not builder.is_free()
    os.killpg(part.pid, signal.SIGTERM)
    part.communicate(timeout=30)
    assert part.returncode == 128 + signal.SIGTERM
    assert gone(left_over)
    assert builder.is_free()


def test_a_killed_worker(builder: Builder, wait_for: Any, gone: Callable[[int], bool]) -> None:
    """A part whose worker was killed ends with all it has started."""
    command = [sys.executable, "-m", "benchyard.cli", "task", "build-step", "--state", str(builder.state), "--"]
    command += ["sh", "-c", JOB.format(file="left") + " sleep 600"]
    environ = {**os.environ, BUILD_MARK: str(builder.folder)}
    code = f"import subprocess; subprocess.run({command!r}, env={environ!r})"
    worker = subprocess.Popen([sys.executable, "-c", code], cwd=builder.folder)
    left_over = wait_for(lambda: builder.pid("left"), "the process in the background")
    worker.kill()
    worker.wait(timeout=10)
    wait_for(lambda: gone(left_over) and builder.is_free(), "the end of all")
    wait_for(lambda: marked(builder.folder, BUILD_MARK) == [], "the end of what held the host")


def test_a_killed_part(builder: Builder, wait_for: Any, gone: Callable[[int], bool]) -> None:
    """What a part that was killed has left holds the host, and is ended before the next begins in its folder."""
    killed = builder.shell(JOB.format(file="left") + " echo $$ > own; exec sleep 600")
    left_over = wait_for(lambda: builder.pid("left") and builder.pid("own") and builder.pid("left"), "its processes")
    killed.kill()
    killed.wait(timeout=10)
    own = builder.pid("own")
    assert own is not None
    wait_for(lambda: gone(own), "the end of the command itself")
    assert not gone(left_over)
    assert not builder.is_free(), "a process of a build lives, and yet the host could be measured on"
    after = builder.shell(f"kill -0 {left_over} 2> /dev/null && grep -s '^State:.*[RS]' /proc/{left_over}/status; true")
    assert after.communicate(timeout=60) == (b"", b"")
    assert gone(left_over)
    assert builder.is_free()


def test_other_builders_are_left_alone(builder: Builder, tmp_path: Path, wait_for: Any) -> None:
    """Parts of builds in two folders of one host run beside each other."""
    (tmp_path / "other").mkdir()
    other = Builder(tmp_path / "other")
    other.state = builder.state
    running = other.shell("echo $$ > own; exec sleep 600")
    try:
        wait_for(lambda: other.pid("own"), "the other builder's command")
        assert builder.shell("true").wait(timeout=60) == 0
        assert running.poll() is None
    finally:
        running.terminate()
        running.communicate(timeout=30)


def test_waits_while_the_host_measures(builder: Builder) -> None:
    """Nothing is done while the host measures, and both the waiting and its end are told, beside the output."""
    with hold_host(builder.state, shared=False):
        part = builder.shell("echo built")
        assert part.stderr is not None
        assert part.stderr.readline().startswith(WAITING.encode())
        assert part.poll() is None
    said, errors = part.communicate(timeout=60)
    assert (said, errors) == (b"built\n", GOING_ON.encode() + b"\n")


def test_the_host_is_put_back_beside_it(builder: Builder, wait_for: Any) -> None:
    """A part that has got the host from a killed supervisor keeps nobody from putting it back, and is not disturbed."""
    part = builder.shell("echo $$ > new; mv new own; while [ ! -e go ]; do sleep 0.1; done; echo built")
    wait_for(lambda: builder.pid("own"), "the command")
    write_journal(builder.state, Journal("another start of this host", ()))
    assert mend_host(builder.state) == []
    assert not has_journal(builder.state)
    (builder.folder / "go").touch()
    assert part.communicate(timeout=60) == (b"built\n", b"")
    write_journal(builder.state, Journal("another start of this host", ()))
    with hold_host(builder.state, shared=False):
        assert mend_host(builder.state) == []
        assert has_journal(builder.state), "who measures has set it up"


def test_a_command_that_is_not_there(builder: Builder) -> None:
    """It is named, in one line."""
    part = builder.start("no-such-program")
    assert part.communicate(timeout=60) == (
        b"",
        b"benchyard: no-such-program cannot be run: No such file or directory\n",
    )
    assert part.returncode == 1
