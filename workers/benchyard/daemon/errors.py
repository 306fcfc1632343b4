"""What can go wrong in keeping programs running.

DaemonError
+-- AlreadyRunning   another supervisor holds the lock: stop it, or leave it be
+-- LockUnreadable   the lock is held, and not by a supervisor of ours: find out who holds it
"""

from pathlib import Path


class DaemonError(Exception):
    """Anything below."""


class AlreadyRunning(DaemonError):
    """The programs of this lock file have a supervisor already."""

    def __init__(self, pid: int, lock: Path) -> None:
        super().__init__(f"already running as process {pid}, which holds {str(lock)!r}: stop it first")
        self.pid = pid
        self.lock = lock


class LockUnreadable(DaemonError):
    """Some process holds the lock file, but the file does not name a living one."""

    def __init__(self, lock: Path) -> None:
        super().__init__(
            f"{str(lock)!r} is locked, but the process it names does not live: "
            f"see who holds it (`fuser {lock}`) and end that"
        )
        self.lock = lock
