"""Transfers of files that are parts of a preparation: they wait while this host measures, as the other parts do.

Such a transfer holds the host, shared, itself: Buildbot's worker has one command of a build at a time, so that no other
could hold it meanwhile. The lock is given back when the transfer ends, is interrupted, or has lost its connection, and
by the kernel when the worker is killed.
"""

import math
import os
from contextlib import ExitStack
from typing import Any

from buildbot_worker.commands import registry, transfer
from twisted.internet import defer, threads

from benchyard.tasks.errors import HostBusyError
from benchyard.tasks.hostlock import hold_host
from benchyard.tasks.preparing import PREPARES

#: Seconds after which a measurement may begin all the same: a master that hangs must not keep a host for ever.
LONGEST_S = 3600.0


class _Waiting(transfer.TransferCommand):
    """A transfer that waits, where its arguments say that it is a part of a preparation."""

    def start(self) -> Any:
        return self._start_held() if self.args.get(PREPARES) else super().start()

    @defer.inlineCallbacks
    def _start_held(self) -> Any:
        state = os.environ["BENCHYARD_STATE"]  # set by the worker's buildbot.tac
        host = hold_host(state, timeout_s=math.inf, say=self._say, stop=lambda: self.interrupted)
        with ExitStack() as held:
            try:
                yield threads.deferToThread(held.enter_context, host)
            except HostBusyError:  # interrupted, as the time has no end
                return self.finished(None)
            longest = self._reactor.callLater(LONGEST_S, held.close)
            try:
                result = yield super().start()
            finally:
                if longest.active():
                    longest.cancel()
            return result

    def _say(self, line: str) -> None:
        self._reactor.callFromThread(self.sendStatus, [("stderr", f"{line}\n")])


class Upload(_Waiting, transfer.WorkerFileUploadCommand):
    """A file on its way to the master."""


class Download(_Waiting, transfer.WorkerFileDownloadCommand):
    """A file on its way from the master."""


def install() -> None:
    """Let the worker of this process use these; both names that Buildbot has for each."""
    registry.commandRegistry.update(uploadFile=Upload, upload_file=Upload)
    registry.commandRegistry.update(downloadFile=Download, download_file=Download)
