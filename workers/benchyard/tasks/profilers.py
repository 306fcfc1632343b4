"""The profilers that can look at an interpreter here: perf, which sees C functions, and py-spy, which sees Python's.

perf sees Python functions as well where the interpreter can show them to it (CPython 3.12 and newer, by a file in /tmp)
and keeps frame pointers: without these, the stack above the innermost C function is lost, on today's builds by default.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchyard.tasks.environment import clean_environ
from benchyard.tasks.errors import ProfilerError
from benchyard.tasks.interpreter import Interpreter, version_numbers

Choice = Literal["auto", "perf", "py-spy"]
CHOICES: tuple[Choice, ...] = ("auto", "perf", "py-spy")

#: Samples a second. py-spy stops the interpreter for each of its own.
PERF_HZ, PY_SPY_HZ = 999, 250

#: Where CPython writes the names of Python functions for perf, whatever TMPDIR says.
MAPS = Path("/tmp")  # noqa: S108

#: Versions that py-spy 0.4 knows.
_SPIED = ((2, 3), (3, 14))

# CPUs of virtual machines often have no counter of cycles; the clock serves as well for where time goes.
_EVENTS = ("cycles", "cpu-clock")
_RATE = Path("/proc/sys/kernel/perf_event_max_sample_rate")
_PROBE_S = 30
_SHOWN_TO_PERF = (3, 12)

_ASK_BUILD = (
    "import sysconfig as s; v = s.get_config_var\n"
    "print(int(bool(v('PY_HAVE_PERF_TRAMPOLINE')) and"
    " '-fno-omit-frame-pointer' in f\"{v('PY_CFLAGS')} {v('PY_CORE_CFLAGS')}\"))"
)


@dataclass(frozen=True)
class Profiler:
    """A profiler that was found to work here, and why it was chosen before the other; `event` is what perf samples."""

    name: Literal["perf", "py-spy"]
    program: str
    version: str
    rate_hz: int
    why: str = ""
    event: str = ""
    python_frames: bool = True

    @property
    def label(self) -> str:
        """What it is called in results: `perf 6.1.187 (cpu-clock)`."""
        return f"{self.name} {self.version}" + (f" ({self.event})" if self.event else "")


def choose_profiler(choice: Choice, python: str, interpreter: Interpreter) -> Profiler:
    """Return the profiler that is asked for, or the one that shows more of this interpreter.

    perf is better where it is permitted and sees Python functions, then py-spy, then perf for C functions alone.
    ProfilerError says of both what is in the way.
    """
    refused: list[str] = []
    hidden = "" if choice == "py-spy" else _hidden_from_perf(python, interpreter)
    order: Sequence[str] = ("py-spy", "perf") if hidden else ("perf", "py-spy")
    for name in order if choice == "auto" else (choice,):
        try:
            found = _find_perf(not hidden) if name == "perf" else _find_py_spy(interpreter)
        except ProfilerError as exc:
            refused.append(str(exc))
        else:
            return Profiler(**{**vars(found), "why": refused[0] if refused else hidden})
    raise ProfilerError("; ".join(refused))


def _hidden_from_perf(python: str, interpreter: Interpreter) -> str:
    """Why perf sees no Python functions of an interpreter, "" where it does."""
    hidden = "perf would show no Python functions of this interpreter: "
    asked = _run([python, "-I", "-c", _ASK_BUILD]) if version_numbers(interpreter)[:2] >= _SHOWN_TO_PERF else None
    if asked is None or asked.stdout.strip() != "1":
        return f"{hidden}these need CPython 3.12 and frame pointers"
    if not os.access(MAPS, os.W_OK):
        return f"{hidden}it would write their names into {MAPS}, which it cannot here"
    return ""


def _find_perf(python_frames: bool) -> Profiler:
    program = shutil.which("perf")
    if program is None:
        raise ProfilerError("there is no perf here: install it (Debian: linux-perf)")
    allowed = _number(_RATE)
    if allowed is not None and allowed < PERF_HZ:
        raise ProfilerError(
            f"the kernel lets perf take at most {allowed} samples a second: write {PERF_HZ} into {_RATE}"
        )
    said = _run([program, "--version"])
    version = (said.stdout.split() or [""])[-1] if said is not None else ""
    why = ""
    for event in _EVENTS:
        why = _try_perf(program, event)
        if not why:
            return Profiler("perf", program, version, PERF_HZ, event=event, python_frames=python_frames)
    raise ProfilerError(f"perf is not permitted here ({why}): run as root, or write 1 into kernel.perf_event_paranoid")


def _try_perf(program: str, event: str) -> str:
    """Why perf takes no samples of an event, "" where it does: what it says in the end may be that there were none."""
    with tempfile.TemporaryDirectory(prefix="benchyard-perf-") as folder:
        data = str(Path(folder, "data"))
        busy = [sys.executable, "-I", "-S", "-c", "for _ in range(10**6): pass"]
        options = ("-F", str(PERF_HZ), "-g", "-e", event, "-o", data)
        recorded = _run([program, "record", *options, "--", *busy])
        if recorded is None or recorded.returncode != 0:
            return _first_line(recorded.stderr if recorded is not None else "") or f"no {event}"
        script = _run([program, "script", "-i", data, "-F", "ip"])
        return "" if script is not None and script.stdout.strip() else f"{event}: no samples"


def _find_py_spy(interpreter: Interpreter) -> Profiler:
    beside = Path(sys.executable).with_name("py-spy")
    program = str(beside) if beside.exists() else shutil.which("py-spy")
    if program is None:
        raise ProfilerError("there is no py-spy here: pip install 'benchyard[profile]'")
    numbers = version_numbers(interpreter)[:2]
    if interpreter.implementation != "cpython" or not _SPIED[0] <= numbers <= _SPIED[1]:
        known = " to ".join(".".join(map(str, version)) for version in _SPIED)
        raise ProfilerError(
            f"py-spy looks at CPython {known}, not at {interpreter.implementation} {interpreter.version}: install perf"
        )
    said = _run([program, "--version"])
    if said is None or said.returncode != 0:
        raise ProfilerError(f"{program} does not run: install it anew")
    return Profiler("py-spy", program, said.stdout.split()[-1], PY_SPY_HZ)


def _run(argv: list[str]) -> "subprocess.CompletedProcess[str] | None":
    try:
        return subprocess.run(
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_S,
            stdin=subprocess.DEVNULL,
            env={**clean_environ(os.environ), "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return None


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if re.search(r"[a-z]", line) and line.strip() != "Error:"]
    return lines[0][:200].rstrip(".:") if lines else ""
