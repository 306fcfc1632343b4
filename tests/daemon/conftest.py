"""A real supervisor, in a process of its own, over small real programs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest

from benchyard.daemon import is_alive

SUPERVISOR = """
import json, sys
from pathlib import Path
from benchyard.daemon import DaemonError, Program, supervise

spec = json.loads(sys.argv[1])
programs = [
    Program(p["name"], p["argv"], Path(p["cwd"]), p["env"], p["cpus"] and tuple(p["cpus"]), Path(p["log"]))
    for p in spec["programs"]
]
try:
    supervise(
        programs, lock=Path(spec["lock"]), say=lambda line: print(line, flush=True),
        stop_order=spec["stop_order"], grace_s=spec["grace_s"],
    )
except DaemonError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 30.0) -> Any:
    end = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {timeout_s:g} s in vain: {what}"
        time.sleep(0.02)
    return found


@dataclass
class Yard:
    """A folder with a lock, programs and supervisors; everything that was started is ended with the test."""

    folder: Path
    supervisors: list[subprocess.Popen[str]] = field(default_factory=list)
    pids: set[int] = field(default_factory=set)

    @property
    def lock(self) -> Path:
        return self.folder / "lab.lock"

    def program(self, name: str, code: str, cpus: Sequence[int] | None = None) -> dict[str, Any]:
        """A Python program that first writes its number to NAME.pid and a line to the common journal."""
        head = (
            "import os, signal, sys, time\n"
            "from pathlib import Path\n"
            "def note(what):\n"
            f"    with open({str(self.folder / 'journal')!r}, 'a') as out:\n"
            f"        out.write({name!r} + ' ' + what + '\\n')\n"
            "def ready():\n"
            f"    new = Path({str(self.folder / (name + '.new'))!r}); new.write_text(str(os.getpid()))\n"
            f"    new.replace({str(self.folder / (name + '.pid'))!r})\n"
        )
        return {
            "name": name,
            "argv": [sys.executable, "-c", head + code],
            "cwd": str(self.folder),
            "env": {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
            "cpus": cpus,
            "log": str(self.folder / "logs" / f"{name}.log"),
        }

    def spec(self, *programs: Mapping[str, Any], grace_s: float, stop_order: Sequence[str] | None) -> str:
        return json.dumps({"programs": programs, "lock": str(self.lock), "grace_s": grace_s, "stop_order": stop_order})

    def command(
        self, *programs: Mapping[str, Any], grace_s: float = 20.0, stop_order: Sequence[str] | None = None
    ) -> list[str]:
        """What starts a supervisor of these programs."""
        return [
            sys.executable,
            "-c",
            SUPERVISOR,
            self.spec(*programs, grace_s=grace_s, stop_order=stop_order),
        ]

    def up(
        self, *programs: Mapping[str, Any], grace_s: float = 20.0, stop_order: Sequence[str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a supervisor whose output goes to the file `said`."""
        with (self.folder / "said").open("a") as said:
            process = subprocess.Popen(
                self.command(*programs, grace_s=grace_s, stop_order=stop_order),
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.supervisors.append(process)
        return process

    def pid_of(self, name: str, other_than: int | None = None) -> int:
        """Wait until the program has written its number, or a new one."""
        path = self.folder / f"{name}.pid"

        def read() -> int | None:
            pid = int(path.read_text()) if path.exists() else None
            return None if pid == other_than else pid

        pid: int = wait_for(read, f"{name} starts")
        self.pids.add(pid)
        return pid

    def lives(self, pid: int) -> bool:
        return is_alive(pid)

    def journal(self) -> list[str]:
        path = self.folder / "journal"
        return path.read_text().splitlines() if path.exists() else []

    def said(self) -> str:
        return (self.folder / "said").read_text()

    def clean_up(self) -> None:
        for process in self.supervisors:
            if process.poll() is None:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(60)
                process.kill()
                process.wait(10)
        for pid in self.pids:
            with suppress(psutil.Error):
                if str(self.folder) in " ".join(psutil.Process(pid).cmdline()):
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    place = Yard(tmp_path)
    yield place
    place.clean_up()


class Wait(Protocol):
    """Wait for a condition, with a bound."""

    def __call__(self, condition: Callable[[], Any], what: str, timeout_s: float = 30.0) -> Any: ...


@pytest.fixture(name="wait_for")
def wait_for_fixture() -> Wait:
    return wait_for
