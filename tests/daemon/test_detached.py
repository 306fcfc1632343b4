"""Programs that outlive their starter."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchyard.daemon import is_alive, running, spawn_detached, stop

if TYPE_CHECKING:
    from tests.daemon.conftest import Wait, Yard

STARTER = """
import json, os, sys
from pathlib import Path
from benchyard.daemon import spawn_detached
folder = Path(sys.argv[1])
pid = spawn_detached(json.loads(sys.argv[2]), log=folder / "logs" / "lab.log", cwd=folder)
print(pid, flush=True)
input()
"""
STEADY = "note('started')\nready()\nwhile True: time.sleep(60)\n"


def test_detached_supervisor_survives_its_parent(yard: "Yard", wait_for: "Wait") -> None:
    """A detached supervisor goes on after its starter and the starter's whole group were killed."""

    argv = json.dumps(yard.command(yard.program("web", STEADY)))
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(yard.folder), argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        yard.pids.add(pid)
        web = yard.pid_of("web")
        os.killpg(starter.pid, signal.SIGKILL)
    assert running(yard.lock) == pid
    assert yard.lives(web)
    assert stop(yard.lock, 60.0)
    assert not yard.lives(web)
    assert "web: started as process" in (yard.folder / "logs" / "lab.log").read_text()


def test_detached_program_that_ends_is_noticed(tmp_path: Path, wait_for: "Wait") -> None:
    """A detached program that ended no longer counts as alive, though nobody waited for it."""
    pid = spawn_detached(["true"], log=tmp_path / "log", cwd=tmp_path)
    wait_for(lambda: not is_alive(pid), "it ends")


def test_detached_program_that_cannot_start(tmp_path: Path) -> None:
    """A program that does not exist is the caller's error at once."""
    with pytest.raises(FileNotFoundError):
        spawn_detached([str(tmp_path / "nothing")], log=tmp_path / "log", cwd=tmp_path)
