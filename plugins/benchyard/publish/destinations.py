"""The one interface of all places that results are published at."""

from pathlib import Path
from typing import Any, Protocol

import msgspec

from benchyard.store.rows import Job, Noise, Result


class Refused(Exception):
    """The destination will never take this as it is; its words, in one line, with what to do."""


class TryLater(Exception):
    """It could not be sent now, or nobody knows whether it was; sending it again does no harm.

    `after_s` is what the other side asks to wait at least.
    """

    def __init__(self, words: str, after_s: float | None = None) -> None:
        super().__init__(words)
        self.after_s = after_s


class Measured(msgspec.Struct, frozen=True):
    """A result with its file (plain pyperf JSON), and the job that it is of where the lab has measured it."""

    result: Result
    data: bytes
    job: Job | None = None


class Publication(msgspec.Struct, frozen=True):
    """What is sent: a result, and the `base` that it is compared with, where there is one.

    `noise` is that of its host by benchmark, `link` is where the lab shows it. `key` is the same when it
    is sent again because nobody knows whether it arrived, and another each time that somebody asks for it. What is
    taken back may have no `data` any more.
    """

    head: Measured
    link: str
    base: Measured | None = None
    noise: dict[str, Noise] = {}
    key: str = ""


class Receipt(msgspec.Struct, frozen=True):
    """What the destination said, in one line, and where it shows the result now."""

    words: str
    link: str | None = None


class Site(msgspec.Struct, frozen=True):
    """What a destination may use of the lab: its secrets, a folder of its own, and the running master."""

    secrets_dir: Path
    work_dir: Path
    lab_url: str
    title: str
    master: Any = None


class Destination(Protocol):
    """A place that results are published at. It is asked for one thing at a time.

    `publish` and `withdraw` raise Refused or TryLater; to repeat them, also after a crash in the middle, must leave
    the same as to do them once.
    """

    can_withdraw: bool

    def refusal(self, result: Result) -> str | None:
        """Why a result can never go there, by its row alone; None where it can."""

    def slot(self, result: Result) -> str:
        """What later results would take the place of there: those of one slot are sent in the order asked for."""

    async def publish(self, publication: Publication) -> Receipt:
        """Send it."""

    async def withdraw(self, publication: Publication) -> Receipt:
        """Take back what was sent."""

    async def close(self) -> None:
        """Let go of connections; it is not used any more."""
