"""The program that pyperf starts its workers with: it goes to the measuring CPUs and becomes the interpreter.

pyperf starts only its worker processes with what `--python` names, so that its own process, and all of ours, stay on
the housekeeping CPUs. A shell script costs 1.6 ms per worker and a Python one 5.4 ms (with -I and -S; both beside
/bin/true), which would also leave SIGPIPE ignored for the benchmark.
"""

import os
import shlex
import shutil
from pathlib import Path

from benchyard.tasks.errors import OptionError
from benchyard.tasks.files import write_atomically
from benchyard.tasks.host.cgroups import PROCS
from benchyard.tasks.host.shield import Shield

_NAME = "measuring-python"
_MISSED = "measuring-python.missed"


def write_wrapper(shield: Shield, directory: Path, python: Path | str) -> Path:
    """Write the program into a run's directory and return its path, to be given to pyperf as `--python`.

    It runs `python` with its own arguments; that must be an absolute path, and is not resolved, as an interpreter finds
    its venv by the path it was called with. Raises OptionError for another path.
    """
    if not Path(python).is_absolute() or "\0" in str(python):
        raise OptionError(f"the interpreter {str(python)!r} is not an absolute path")
    path = directory.absolute() / _NAME
    write_atomically(
        path, _script(shield, str(python), path.with_name(_MISSED)).encode("utf-8", "surrogateescape"), mode=0o755
    )
    path.chmod(0o755)  # whatever the umask
    return path


def missed(directory: Path) -> int:
    """Return how often a worker could not go where it should, into the group or onto the CPUs; 0 is good."""
    try:
        return len((directory / _MISSED).read_bytes().splitlines())
    except FileNotFoundError:
        return 0


def _script(shield: Shield, python: str, missed_path: Path) -> str:
    """Return the program; every path in it is quoted, and what fails is noted and does not end it."""
    note = f"echo $$ >> {shlex.quote(str(missed_path))}"
    lines = ["#!/bin/sh"]
    if shield.group is not None:
        procs = shlex.quote(str(Path(shield.group) / PROCS))
        lines.append(f"{{ echo $$ > {procs}; }} 2> /dev/null || {note}")
    taskset = shutil.which("taskset")
    if taskset is not None and hasattr(os, "sched_setaffinity"):
        # Of itself, not of a command: it then goes on where that fails. A mask is what every taskset understands.
        mask = sum(1 << cpu for cpu in shield.measuring)
        lines.append(f"{shlex.quote(taskset)} -p {mask:x} $$ > /dev/null 2>&1 || {note}")
    lines.append(f'exec {shlex.quote(python)} "$@"')
    return "\n".join(lines) + "\n"
