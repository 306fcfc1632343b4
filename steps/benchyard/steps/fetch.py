"""Files of a run, brought from its host to the master's memory: whole, or not at all."""

import posixpath
from typing import Any

from buildbot.process import buildstep, remotecommand
from buildbot.worker.protocols.base import FileWriterImpl

#: Bytes of a block (a message of the protocol may have 640 kB at most), and of the largest file that is taken.
BLOCK = 256 * 1024
LARGEST = 512 * 1024 * 1024


class _BytesWriter(FileWriterImpl):
    """Takes what the worker sends; Buildbot's own decodes block by block, and breaks characters at the edges."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    def remote_write(self, data: bytes | str) -> None:
        self.blocks.append(data.encode() if isinstance(data, str) else data)

    def remote_utime(self, times: Any) -> None:
        """The file's times are of no interest."""

    def remote_close(self) -> None:
        """All blocks have come; whether they are all there were is told by the command's end."""


async def fetch_file(step: buildstep.BuildStep, folder: str, name: str) -> bytes | None:
    """The bytes of a file on the step's worker; None if there is no such file, or if the step was interrupted.

    Buildbot takes an interrupted transfer for a good one: the caller asks `step.stopped` before it believes in None.
    """
    writer = _BytesWriter()
    arguments = {
        "workdir": folder,
        "workersrc": posixpath.join(folder, name),
        "writer": writer,
        "maxsize": LARGEST,
        "blocksize": BLOCK,
        "keepstamp": False,
    }
    command = remotecommand.RemoteCommand("uploadFile", arguments)
    await step.runCommand(command)
    if step.stopped or command.interrupted or command.rc != 0:
        return None
    return b"".join(writer.blocks)
