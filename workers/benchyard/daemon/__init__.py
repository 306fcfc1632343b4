"""Keeps named programs running: what `benchyard lab up` needs of a process manager, and no more.

The standard library and psutil only, so that it runs wherever the lab runs and needs no systemd.
"""

from benchyard.daemon.detached import spawn_detached, stop
from benchyard.daemon.errors import AlreadyRunning, DaemonError, LockUnreadable
from benchyard.daemon.leftovers import clear_leftovers
from benchyard.daemon.lock import running
from benchyard.daemon.processes import is_alive
from benchyard.daemon.program import Program
from benchyard.daemon.supervisor import supervise

__all__ = [
    "AlreadyRunning",
    "DaemonError",
    "LockUnreadable",
    "Program",
    "clear_leftovers",
    "is_alive",
    "running",
    "spawn_detached",
    "stop",
    "supervise",
]
