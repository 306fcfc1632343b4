"""Following a run's log: the same lines for whoever counts them, and none twice."""

import io
from pathlib import Path

import pytest
from buildbot_worker.base import BotBase
from buildbot_worker.util.lineboundaries import LineBoundaryFinder
from hypothesis import given
from hypothesis import strategies as st

from benchyard.tasks.following import LONGEST, Follower

#: What a program may print: lines, progress bars, movements of the cursor, and what is no text at all.
_PIECES = st.sampled_from(
    [b"benchmark", b"\n", b"\r", b"\r\n", b"\b\b", b"\x1b[u", b"\x1b[2J", b"\x1b[1;2H", b"\xff\xc3", "é".encode(), b""]
) | st.integers(1, 3 * LONGEST).map(lambda count: b"x" * count)
_LOGS = st.lists(_PIECES, max_size=12).map(b"".join)


def followed(log: Path, seen: int | None, *, ended: bool = True) -> bytes:
    out = io.BytesIO()
    Follower(log, out, seen).copy(ended=ended)
    return out.getvalue()


def worker_lines(text: str) -> list[str]:
    """The lines that Buildbot's worker makes of what a command prints."""
    bot = BotBase("basedir")
    finder = LineBoundaryFinder(bot.max_line_length, bot.newline_re)
    got = [finder.append(text, 0.0), finder.flush()]
    return "".join(part[0] for part in got if part is not None).split("\n")[:-1]


@given(log=_LOGS)
def test_lines_are_the_workers(tmp_path_factory: pytest.TempPathFactory, log: bytes) -> None:
    """Buildbot's worker has nothing to break, join or cut: it counts the lines that were given out."""
    path = tmp_path_factory.getbasetemp() / "worker.log"
    path.write_bytes(log)
    text = followed(path, 0).decode()
    assert worker_lines(text) == text.split("\n")[:-1]


@given(log=_LOGS, cuts=st.lists(st.integers(0, 40), max_size=4), seen=st.integers(0, 12))
def test_nothing_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory, log: bytes, cuts: list[int], seen: int
) -> None:
    """However a log grows while it is followed, its lines are those of the whole, without those seen before."""
    path = tmp_path_factory.getbasetemp() / "growing.log"
    path.write_bytes(log)
    whole = followed(path, 0)
    out = io.BytesIO()
    follower = Follower(path, out, seen)
    for cut in sorted(cuts):
        path.write_bytes(log[:cut])
        follower.copy(ended=False)
    path.write_bytes(log)
    follower.copy(ended=True)
    assert out.getvalue() == b"".join(whole.splitlines(keepends=True)[seen:])
    assert followed(path, None) == log


def test_a_line_is_given_out_when_it_has_ended(tmp_path: Path) -> None:
    """Half a line is no line yet: it would count as one, and its other half as another."""
    log = tmp_path / "output.log"
    assert followed(log, 0) == b""
    log.write_bytes(b"one\ntw")
    assert followed(log, 0, ended=False) == b"one\n"
    assert followed(log, 1, ended=True) == b"tw\n"
