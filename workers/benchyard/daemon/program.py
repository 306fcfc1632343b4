"""What a supervisor is told about a program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """One program to keep running."""

    name: str
    """Unique among the programs of one supervisor; people read it in messages."""
    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    """The whole environment; nothing is added from the supervisor's own but `MARK`."""
    cpus: tuple[int, ...] | None
    """The CPUs it may use, or None for those of the supervisor."""
    log: Path
    """Its output and errors are appended here; the folder is made if there is none."""
