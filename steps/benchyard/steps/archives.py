"""Interpreters, suites and wheels as the lab keeps them, and their way between the master and its workers."""

import hashlib
import posixpath
from pathlib import Path
from typing import Any, NamedTuple

from buildbot.process import buildstep, remotecommand
from buildbot.process.remotetransfer import FileReader
from buildbot.worker.protocols.base import FileWriterImpl
from twisted.python import log

from benchyard.steps.fetch import BLOCK
from benchyard.store import interpreters
from benchyard.store.rows import BuiltInterpreter

#: Bytes of the largest archive that is taken.
LARGEST = 4 * 1024**3


class Archives(NamedTuple):
    """Where the lab keeps archives, and how many bytes of interpreters at most."""

    root: Path
    limit: int

    def interpreter(self, id: str) -> Path:
        """The archive of an interpreter."""
        return self.root / "interpreters" / f"{id}.tar.gz"

    def wheels(self, id: str) -> Path:
        """The archive of a set of wheels."""
        return self.root / "wheels" / f"{id}.tar.gz"

    def suite(self, id: str) -> Path:
        """The archive of a suite of benchmarks."""
        return self.root / "suites" / f"{id}.tar.gz"

    def has(self, built: BuiltInterpreter | None) -> bool:
        """Whether the archive of an interpreter is here, whole."""
        if built is None or not built.sha256:
            return False
        path = self.interpreter(built.id)
        return path.is_file() and path.stat().st_size == built.size

    def drop_old(self, conn: Any, keep: str) -> None:
        """Drop what was used least recently until the rest is within the limit; never what a job waits for."""
        needed = {keep, *interpreters.needed_interpreters(conn)}
        for built in interpreters.least_used(conn, keep=needed):
            if interpreters.total_size(conn) <= self.limit:
                return
            interpreters.forget_archive(conn, built.id)
            self.interpreter(built.id).unlink(missing_ok=True)


class _ArchiveWriter(FileWriterImpl):
    """Writes what a worker sends beside its place, and keeps count of it; an error of the disk is kept, not raised."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.partial = path.with_name(f".{path.name}.part")
        self.sum = hashlib.sha256()
        self.error: OSError | None = None
        self._file = self.partial.open("wb")

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


async def take_archive(step: buildstep.BuildStep, source: str, target: Path, sha256: str) -> str | None:
    """Bring an archive from the step's worker to its place, whole or not at all; says what went wrong, if anything.

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
    command = remotecommand.RemoteCommand("uploadFile", arguments)
    try:
        await step.runCommand(command)
        writer.remote_close()
        if writer.error is not None:
            return f"{target} cannot be written: {writer.error.strerror}"
        if step.stopped or command.interrupted or command.rc != 0 or writer.sum.hexdigest() != sha256:
            return "the archive did not come over whole"
        writer.partial.replace(target)
    finally:
        writer.discard()
    return None


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
        command = remotecommand.RemoteCommand("downloadFile", arguments)
        await step.runCommand(command)
    return bool(command.rc == 0 and not step.stopped and not command.interrupted)
