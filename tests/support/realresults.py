"""The real pyperf result files that tests read, and which are too large for the repository."""

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

VARIABLE = "BENCHYARD_REAL_RESULTS"

#: bench_runner's, of CPython 3.16.0a0 on the host `sulaco`: date, commit as it is in the name, flags of the build.
_RUNNER = """
20260507 49918f5b0ceb1950c322
20260507 49918f5b0ceb1950c322 JIT
20260514 461b1d96313de02992d2
20260519 1f3c2679f1a2a106019c
20260520 cb3b4b98d8d141c9de04 JIT
20260525 a5be25d3bdc1b3cbc963
20260531 f4bda4d6cb13d4c57fba
20260602 71fc4c66d3e675a5481b JIT
20260606 ea4c85552bb7883e1d6c
20260612 f4f102027a9b0edc72a0
20260616 8646385076ea4f6ef086 JIT
20260619 66cc04855100c3865bd0
20260625 55bc3126e0a09a8e940d
20260629 2dd6e59aea24220975cc JIT
20260630 a5be0d81cb74fabe563b
20260706 35c6779c7b5c4c2e2d97
20260712 832bc0b0ea20c2fade5d
20260712 832bc0b0ea20c2fade5d JIT
20260718 a1d580430c81c298d267
20260725 59e67c284d3e8dcb708e
20260725 b86a41cbf631c959d274 JIT
20260730 22fed93a21c36c032d87
20260805 e12ee02a164c87865b78
20260807 5ffefdb108094a44e843 JIT
"""

#: PORTAL's, in a folder of their own.
_PORTAL = """
cpython-3.10.4-9d38120e33-fc_linux-42d6dd4409cb.json.gz
cpython-3.10.4-9d38120e33-fc_linux-b2cf916db80e-pyperformance.json.gz
cpython-3.11.0a3-2e91dba437-fc_linux-b2cf916db80e-pyston.json.gz
cpython-3.11.0b1-8d32a5c8c4-fc_linux-b2cf916db80e-pyperformance.json.gz
"""


class NotThere(Exception):
    """Some of the files are not where they should be; one line with the remedy."""


def names() -> tuple[PurePosixPath, ...]:
    """The paths of the files in their folder."""
    runner = [_runner_path(*line.split()) for line in _RUNNER.split("\n") if line]
    return (*runner, *(PurePosixPath("portal", name) for name in _PORTAL.split()))


def _runner_path(day: str, commit: str, *flags: str) -> PurePosixPath:
    what = f"3.16.0a0-{commit[:7]}"
    return PurePosixPath("-".join(("bm", day, what, *flags)), f"bm-{day}-sulaco-aarch64-python-{commit}-{what}.json.gz")


def find(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that has all of them; NotThere names the first that it lacks."""
    folder = environ.get(VARIABLE)
    if not folder:
        raise NotThere(f"set {VARIABLE} to the folder with the result files that tests/support/realresults.py names")
    for name in names():
        if not Path(folder, name).is_file():
            raise NotThere(f"{VARIABLE}={folder} lacks {name}; tests/support/realresults.py names all of them")
    return Path(folder)
