"""The program that a profiled benchmark's workers are started with, and what it leaves behind."""

import os
import shlex
import shutil
from contextlib import suppress
from pathlib import Path

from benchyard.tasks.profilers import MAPS, Profiler

#: What pyperf starts its workers with, in the folder NAME.seen of a try at a benchmark, and as old as that.
PROGRAM = "profiled-python"

# Has CPython write the names of Python functions.
_FOR_PERF = "PYTHONPERFSUPPORT=1"


def profiled_python(profiler: Profiler, inner: str, seen: Path) -> str:
    """The program that pyperf starts its workers with: `inner`, which is or becomes the interpreter, profiled.

    py-spy starts it and looks at it from outside, so from the CPUs that do not measure. perf is started by pyperf's own
    hook, for the benchmark's code alone (`-D -1`: not before it is told to); CPython, and every one that the benchmark
    starts, writes the names of Python functions into a file for it.
    """
    folder, program = shlex.quote(str(seen)), shlex.quote(inner)
    if profiler.name == "perf":
        options = f"-F {profiler.rate_hz} -g -e {profiler.event} -D -1"
        return (
            "#!/bin/sh\n"
            f"export {_FOR_PERF} PYPERF_PERF_RECORD_DATA_DIR={folder}\n"
            f"export PYPERF_PERF_RECORD_EXTRA_OPTS={shlex.quote(options)}\n"
            f'exec {program} "$@"\n'
        )
    # --nonblocking would cost the benchmark less, and a good part of the stacks would be garbage.
    spy = [profiler.program, "record", "--function", "--subprocesses", "--rate", str(profiler.rate_hz)]
    return f'#!/bin/sh\nexec {shlex.join(spy)} --format raw --output {folder}/$$.folded -- {program} "$@"\n'


def forget_tries(parts: Path) -> None:
    """Remove what a try has left that was killed, and what CPython has written for it elsewhere."""
    for seen in parts.glob("*.seen"):
        with suppress(FileNotFoundError):
            if _FOR_PERF in (seen / PROGRAM).read_text("utf-8"):
                forget_maps(seen)
        shutil.rmtree(seen)


def forget_parts(parts: Path) -> None:
    """Remove all pieces of a run that was killed."""
    forget_tries(parts)
    shutil.rmtree(parts, ignore_errors=True)


def forget_maps(seen: Path) -> None:
    """Remove the files that CPython has written for perf since a benchmark was begun: it never does so itself.

    It goes on with a file that is there, so a later process of the same number would have the names of another's
    functions. What belongs to a process that lives is not the benchmark's: all of that has ended.
    """
    with suppress(FileNotFoundError):
        begun = (seen / PROGRAM).stat().st_mtime_ns
        for path in MAPS.glob("perf-*.map"):
            if Path("/proc", path.stem.removeprefix("perf-")).exists():
                continue
            with suppress(OSError):  # it is another's to keep, or gone already
                found = path.lstat()
                if found.st_uid == os.geteuid() and found.st_mtime_ns >= begun:
                    path.unlink()
