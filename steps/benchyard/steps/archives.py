"""Interpreters, suites and wheels as the lab keeps them, and their way between the master and its workers.

On a worker that way is a part of a preparation, which waits while its host measures; the step's log says so.
"""

import fcntl
import hashlib
import os
import posixpath
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from buildbot.process import buildstep, remotecommand
from buildbot.process.remotetransfer import FileReader
from buildbot.worker.protocols.base import FileWriterImpl
from twisted.internet import threads
from twisted.python import log

from benchyard.steps.fetch import BLOCK
from benchyard.store import interpreters
from benchyard.store.rows import BuiltInterpreter
from benchyard.tasks.archive import digest
from benchyard.tasks.files import sync_directory, sync_file
from benchyard.tasks.hostlock import try_lock
from benchyard.tasks.preparing import PREPARES
from benchyard.tasks.suitemaking import read_made
from benchyard.tasks.sums import drop_archive, keep_sum, kept_sum
from benchyard.tasks.trees import TreeStore, is_id, tree_size

#: Bytes of the largest archive that is taken.
LARGEST = 4 * 1024**3

_PART = ".part"


class _Kept(NamedTuple):
    """An archive that may be dropped, those used least recently first."""

    used: float
    id: str
    kind: str
    size: int


class Archives(NamedTuple):
    """Where the lab keeps archives, and how many bytes at most.

    Those of suites are packed again from what is in the directory `suites`, and go together with that; but none that
    one of the names `named`, those of the settings, stands for.
    """

    root: Path
    limit: int
    suites: Path
    named: tuple[str, ...] = ()

    def path(self, kind: str, id: str) -> Path:
        """The archive of something that is called KIND/ID on the hosts: one of `interpreters`, `suites`, `wheels`."""
        return self.root / kind / f"{id}.tar.gz"

    def has(self, built: BuiltInterpreter | None) -> bool:
        """Whether the archive of an interpreter is here, by its size."""
        if built is None or not built.sha256:
            return False
        path = self.path("interpreters", built.id)
        return path.is_file() and path.stat().st_size == built.size

    def has_wheels(self, id: str | None) -> bool:
        """Whether the archive of a set of wheels is here; it counts as used now."""
        if id is None or kept_sum(self.path("wheels", id)) is None:
            return False
        os.utime(self.path("wheels", id))
        return True

    def sum_of(self, conn: Any, kind: str, id: str) -> str | None:
        """What the SHA-256 of an archive must be; None where it is not here."""
        if kind != "interpreters":
            return kept_sum(self.path(kind, id))
        built = interpreters.find_interpreter(conn, id)
        return built.sha256 if built is not None and self.has(built) else None

    def is_whole(self, kind: str, id: str, sha256: str) -> bool:
        """Whether an archive is what it was; reads all of it."""
        try:
            return digest(self.path(kind, id)).sha256 == sha256
        except OSError:
            return False

    def forget(self, conn: Any, kind: str, id: str) -> None:
        """Drop an archive; who needs it makes it again."""
        if kind == "interpreters":
            interpreters.forget_archive(conn, id)
        drop_archive(self.path(kind, id))

    def drop_old(self, conn: Any) -> None:
        """Drop what was used least recently until the rest is within the limit; never what a job waits for."""
        kept = sorted([*self._kept_interpreters(conn), *self._kept_wheels(), *self._kept_suites()])
        total = sum(one.size for one in kept)
        for one in kept:
            if total <= self.limit:
                return
            # Locked before it is asked for: who has just found it there has noted that in the same transaction.
            interpreters.lock_interpreter(conn, one.id)
            if self._is_needed(conn, one) or (one.kind == "suites" and not TreeStore(self.suites).drop(one.id)):
                continue
            self.forget(conn, one.kind, one.id)
            total -= one.size

    def _is_needed(self, conn: Any, one: _Kept) -> bool:
        if one.kind != "suites":
            return one.id in interpreters.needed_ids(conn)
        known = (read_made(self.suites, name) for name in self.named)
        return one.id in {made.id for made in known if made is not None} or interpreters.is_suite_needed(conn, one.id)

    def _kept_interpreters(self, conn: Any) -> list[_Kept]:
        found = interpreters.kept_interpreters(conn)
        return [_Kept(built.used, built.id, "interpreters", built.size) for built in found]

    def _kept_wheels(self) -> list[_Kept]:
        return [_Kept(used, id, "wheels", size) for id, (used, size) in self._files("wheels").items()]

    def _kept_suites(self) -> list[_Kept]:
        """Each with its directory, also where there is only one of the two."""
        trees, packed = TreeStore(self.suites), self._files("suites")
        kept = []
        for id in {*trees.ids(), *filter(is_id, packed)}:
            used, size = packed.get(id, (0.0, 0))
            kept.append(_Kept(used, id, "suites", size + tree_size(trees.tree(id))))
        return kept

    def _files(self, kind: str) -> dict[str, tuple[float, int]]:
        """The archives of a kind by id, with the time of their last use and their bytes."""
        found = {path: path.stat() for path in (self.root / kind).glob("[!.]*.tar.gz")}
        return {path.name.removesuffix(".tar.gz"): (stat.st_mtime, stat.st_size) for path, stat in found.items()}


class _ArchiveWriter(FileWriterImpl):
    """Writes what a worker sends beside its place, and keeps count of it; an error of the disk is kept, not raised.

    Each has a file of its own, locked while it is written: those that nobody holds are leftovers, and swept.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in path.parent.glob(f".*{_PART}"):
            _sweep(old)
        fd, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_PART, dir=path.parent)
        fcntl.flock(fd, fcntl.LOCK_EX)
        self.partial = Path(name)
        self.sum = hashlib.sha256()
        self.error: OSError | None = None
        self._file = os.fdopen(fd, "wb")

    def remote_write(self, data: bytes | str) -> None:
        block = data.encode() if isinstance(data, str) else data
        self.sum.update(block)
        if self.error is None:
            try:
                self._file.write(block)
            except OSError as exc:
                self.error = exc

    def remote_utime(self, times: Any) -> None:
        """The file's times are of no interest."""

    def remote_close(self) -> None:
        try:
            self._file.close()
        except OSError as exc:
            self.error = self.error or exc

    def discard(self) -> None:
        """Leave nothing behind."""
        self.remote_close()
        self.partial.unlink(missing_ok=True)


def _sweep(part: Path) -> None:
    """Remove what an upload left that was cut off by the end of its master."""
    lock = try_lock(part)
    if lock is not None:
        part.unlink(missing_ok=True)
        os.close(lock)


async def take_archive(step: buildstep.BuildStep, source: str, target: Path, sha256: str) -> str | None:
    """Bring an archive from the step's worker to its place, whole or not at all; says what went wrong, if anything.

    Its sum is kept beside it, and the worker's own copy is removed.
    The caller asks `step.stopped` first: of an interrupted transfer nothing is kept either.
    """
    try:
        writer = _ArchiveWriter(target)
    except OSError as exc:
        return f"{target} cannot be written: {exc.strerror}"
    arguments = {
        "workdir": posixpath.dirname(source),
        "workersrc": source,
        "writer": writer,
        "maxsize": LARGEST,
        "blocksize": BLOCK,
        "keepstamp": False,
    }
    try:
        command = await _transfer(step, "uploadFile", arguments)
        writer.remote_close()
        if writer.error is not None:
            return f"{target} cannot be written: {writer.error.strerror}"
        if step.stopped or command.interrupted or command.rc != 0 or writer.sum.hexdigest() != sha256:
            return "the archive did not come over whole"
        await threads.deferToThread(_put_in_place, writer.partial, target, sha256)
    except OSError as exc:
        return f"{target} cannot be written: {exc.strerror}"
    finally:
        writer.discard()
    if not step.stopped:
        await step.runCommand(remotecommand.RemoteCommand("rmfile", {"path": source, "logEnviron": False}))
    return None


async def _transfer(step: buildstep.BuildStep, name: str, arguments: dict[str, Any]) -> Any:
    """Run a command that transfers a file, as soon as the step's worker does not measure, and give it back."""
    command = remotecommand.RemoteCommand(name, {**arguments, PREPARES: True})
    command.useLog(step.getLog("stdio"), False)  # of the commands before it: no step begins with a transfer
    await step.runCommand(command)
    return command


def _put_in_place(partial: Path, target: Path, sha256: str) -> None:
    sync_file(partial)
    partial.chmod(0o644)
    partial.replace(target)
    sync_directory(target.parent)
    keep_sum(target, sha256)


async def give_archive(step: buildstep.BuildStep, source: Path, target: str) -> bool:
    """Bring an archive to the step's worker; whether it is there now. Who unpacks it checks its sum."""
    try:
        file = source.open("rb")
    except OSError:
        log.err(None, f"benchyard: {source} cannot be read")
        return False
    with file:
        arguments = {
            "workdir": posixpath.dirname(target),
            "workerdest": target,
            "reader": FileReader(file),
            "maxsize": LARGEST,
            "blocksize": BLOCK,
            "mode": 0o644,
        }
        command = await _transfer(step, "downloadFile", arguments)
    return bool(command.rc == 0 and not step.stopped and not command.interrupted)
