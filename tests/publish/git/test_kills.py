"""A publish that is killed in the middle, and what earlier ones have left, are mended by the next one."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import publish_to_git
import pytest
from gitremote import MakeDestination, Remote
from publications import path_of, publication, small

from benchyard.publish.destinations import TryLater

# A git that kills the master's process at its call of a number, which goes on alone, or right after it.
_KILLING = """\
#!/bin/sh
echo x >> "{count}"
if test "$(wc -l < "{count}")" != {call}; then exec "{git}" "$@"; fi
until test -s "{pid}"; do sleep 0.05; done
case {when} in
  during) kill -9 "$(cat "{pid}")"; exec "{git}" "$@" ;;
  after) "{git}" "$@"; kill -9 "$(cat "{pid}")" ;;
esac
"""


class Publisher:
    """A process that publishes results of some numbers, in a group of its own."""

    def __init__(
        self, remote: str, work: Path, numbers: Sequence[int], path: Path | None = None, timeout_s: float = 20.0
    ) -> None:
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        if path is not None:
            environ["PATH"] = f"{path}{os.pathsep}{environ['PATH']}"
        self.process = subprocess.Popen(
            [sys.executable, publish_to_git.__file__, remote, str(work), str(timeout_s), *map(str, numbers)],
            stdout=subprocess.PIPE,
            env=environ,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout

    def ready(self) -> None:
        """Wait until it begins."""
        assert self.said.readline() == b"ready\n"

    def kill(self) -> None:
        """Kill the process; its git lives on, as a killed master's would."""
        self.process.kill()
        self.end()

    def end(self) -> int:
        """Wait for its end."""
        status = self.process.wait(60)
        self.said.close()
        return status


def check(remote: Remote, numbers: Sequence[int]) -> None:
    """Each result is there as it was measured, by one commit, and is in the tables."""
    remote.git("fsck", "--strict")
    assert sorted(remote.subjects()) == sorted(
        f"Add result {number}: main {f'{number:07x}'.ljust(10, '0')} on bench1" for number in numbers
    )
    files = remote.files()
    for number in numbers:
        assert files[f"results/{path_of(number)}"] == small(number).data
        assert f"results/{path_of(number)}".replace(".json", "-vs-base.md") in files
    assert files["results/README.md"].count(b"\n| [2026") == len(numbers)


def _killed_at(remote: Remote, tmp_path: Path, call: int, when: str) -> int:
    """Let a publish be killed around one call of git; gives the exit status of the process."""
    folder = tmp_path / f"bin-{call}-{when}"
    folder.mkdir()
    parts = {"count": folder / "count", "pid": folder / "pid", "call": call, "when": when, "git": shutil.which("git")}
    (folder / "git").write_text(_KILLING.format(**parts))
    (folder / "git").chmod(0o755)
    publisher = Publisher(str(remote.path), tmp_path / "work", [call], folder)
    (folder / "pid").write_text(str(publisher.process.pid))
    return publisher.end()


@pytest.mark.slow
@pytest.mark.parametrize("when", ["during", "after"])
def test_killed_around_each_call(remote: Remote, destination: MakeDestination, tmp_path: Path, when: str) -> None:
    """Killed during or after any call of git, a publish is finished by the next one, by one commit."""
    numbers = []
    for call in range(1, 100):
        numbers.append(call)
        status = _killed_at(remote, tmp_path, call, when)
        destination(timeout_s=20.0).publish_now(publication(small(call), small(call + 1)))
        check(remote, numbers)
        if status == 0:
            break
        assert status == -signal.SIGKILL
    # From the init of a new repository to tidying up after the push.
    assert 12 < len(numbers) < 99


@pytest.mark.parametrize("call", [3, 14])
def test_killed_around_a_call(remote: Remote, destination: MakeDestination, tmp_path: Path, call: int) -> None:
    """The same for a few calls."""
    assert _killed_at(remote, tmp_path, call, "during") == -signal.SIGKILL
    destination().publish_now(publication(small(call), small(call + 1)))
    check(remote, [call])


def _kill_at_random(remote: Remote, destination: MakeDestination, tmp_path: Path, kills: int) -> None:
    chance = random.SystemRandom()
    numbers = list(range(1, 9))
    for _ in range(kills):
        publisher = Publisher(str(remote.path), tmp_path / "work", numbers)
        publisher.ready()
        time.sleep(chance.uniform(0.0, 1.2))
        publisher.kill()
    place = destination(timeout_s=20.0)
    for number in numbers:
        place.publish_now(publication(small(number), small(number + 1)))
    check(remote, numbers)


def test_killed_at_random(remote: Remote, destination: MakeDestination, tmp_path: Path) -> None:
    """Killed at any moments, in the end each result is there once."""
    _kill_at_random(remote, destination, tmp_path, 4)


@pytest.mark.slow
def test_killed_often(remote: Remote, destination: MakeDestination, tmp_path: Path) -> None:
    """The same, very often."""
    _kill_at_random(remote, destination, tmp_path, 20)


def test_git_that_is_left_behind(
    remote: Remote, destination: MakeDestination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git that a killed master has left at a silent server keeps the next one waiting, and ends by itself."""
    monkeypatch.setattr("benchyard.publish.git.running._LOCK_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"git://127.0.0.1:{listening.getsockname()[1]}/r.git"
        publisher = Publisher(url, tmp_path / "work", [1], timeout_s=4.0)
        publisher.ready()
        listening.settimeout(30)
        connection, _address = listening.accept()
        publisher.kill()
        with connection:
            with pytest.raises(TryLater, match="another git is at work"):
                destination().publish_now(publication(small(1), small(2)))
            # Its `timeout` ends it, though who started it is gone.
            monkeypatch.setattr("benchyard.publish.git.running._LOCK_S", 60.0)
            destination().publish_now(publication(small(1), small(2)))
    check(remote, [1])


@pytest.mark.parametrize(
    "left",
    [
        "index.lock",
        "repository.git/HEAD.lock",
        "repository.git/config.lock",
        "repository.git/packed-refs.lock",
        "repository.git/shallow.lock",
        "repository.git/refs/benchyard/branch.lock",
        "repository.git/objects/pack/tmp_pack_x",
        "repository.git/objects/12/tmp_obj_x",
        "repository.git/gc.pid",
        "repository.new/HEAD",
        "index",
        "grades.json",
    ],
)
def test_leftovers(remote: Remote, destination: MakeDestination, tmp_path: Path, left: str) -> None:
    """What a git that was killed has left is in nobody's way."""
    destination().publish_now(publication(small(1), small(2)))
    path = tmp_path / "work" / "git" / left
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'{"half')
    destination().publish_now(publication(small(2), small(3)))
    check(remote, [1, 2])


@pytest.mark.parametrize("damage", ["gone", "no head", "empty", "objects", "refs", "config", "shallow", "grafts"])
def test_damage(remote: Remote, destination: MakeDestination, tmp_path: Path, damage: str) -> None:
    """A copy that is damaged, as by a loss of power, is thrown away and fetched anew."""
    destination().publish_now(publication(small(1), small(2)))
    copy = tmp_path / "work" / "git" / "repository.git"
    match damage:
        case "gone":
            shutil.rmtree(copy)
        case "no head":
            (copy / "HEAD").unlink()
        case "empty":
            for file in copy.rglob("*"):
                if file.is_file():
                    file.chmod(0o644)
                    file.write_bytes(b"")
        case "objects":
            for file in (copy / "objects").rglob("*"):
                if file.is_file():
                    file.chmod(0o644)
                    file.write_bytes(file.read_bytes()[:10])
        case "refs":
            for file in (copy / "refs").rglob("*"):
                if file.is_file():
                    file.write_text("nonsense\n")
        case "config":
            (copy / "config").write_text("[nonsense\n")
        case "shallow":
            (copy / "shallow").write_text("nonsense\n")
        case "grafts":
            shutil.rmtree(copy / "objects")
            (copy / "objects").mkdir()
    destination().publish_now(publication(small(2), small(3)))
    check(remote, [1, 2])


def test_tidy(remote: Remote, destination: MakeDestination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What piles up in the copy is put together, and all goes on."""
    monkeypatch.setattr("benchyard.publish.git.running._MANY", 10)
    place = destination()
    for number in range(1, 6):
        place.publish_now(publication(small(number), small(number + 1)))
        loose = list((tmp_path / "work" / "git" / "repository.git" / "objects").glob("??/*"))
        assert len(loose) <= 10
    check(remote, range(1, 6))
