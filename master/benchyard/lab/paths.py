"""What is where in a lab's folder."""

from dataclasses import dataclass
from pathlib import Path

from benchyard.config.settings import STATE_DIR


@dataclass(frozen=True)
class LabPaths:
    """The places of a lab, all below its folder `root`."""

    root: Path

    @property
    def master(self) -> Path:
        """The master's base directory: its configuration, database and log."""
        return self.root / "master"

    @property
    def workers(self) -> Path:
        """A folder for each worker that runs on this host."""
        return self.root / "workers"

    @property
    def state(self) -> Path:
        """What this host knows as a measuring host: its lock, its runs, its benchmark environments."""
        return self.root / STATE_DIR

    @property
    def lock(self) -> Path:
        """Held by the process that keeps the lab running."""
        return self.root / "run" / "lab.lock"

    @property
    def log(self) -> Path:
        """What that process says when it runs in the background."""
        return self.root / "run" / "lab.log"

    @property
    def keep_runs(self) -> Path:
        """Present while the lab is being stopped with its measurements left alone."""
        return self.root / "run" / "keep-runs"

    def program_log(self, name: str) -> Path:
        """What a program prints beside its own log."""
        return self.root / "run" / f"{name}.log"
