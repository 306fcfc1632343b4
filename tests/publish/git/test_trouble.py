"""A publish to a git repository meets others who push, servers that do not let it, and networks that end."""

import http.server
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gitremote import MakeDestination, Remote
from publications import path_of, publication, small

from benchyard.publish.destinations import Refused, TryLater


def test_two_labs_at_once(remote: Remote, destination: MakeDestination) -> None:
    """Two who publish at the same time both get all of theirs in, once, one after the other."""

    def publish_all(lab: str, numbers: range) -> None:
        place = destination(lab)
        for number in numbers:
            for attempt in range(20):
                try:
                    place.publish_now(publication(small(number, host=lab)))
                    break
                except TryLater:
                    assert attempt < 19

    with ThreadPoolExecutor() as pool:
        labs = [pool.submit(publish_all, lab, range(1, 7)) for lab in ("one", "two")]
        for running in labs:
            running.result(timeout=200)
    subjects = remote.subjects()
    assert sorted(subjects) == sorted(set(subjects))
    assert len(subjects) == 12
    # No merges: each came on top of what was there.
    assert remote.git("rev-list", "--merges", "main") == ""
    files = remote.files()
    for lab in ("one", "two"):
        for number in range(1, 7):
            assert files[f"results/{path_of(number, lab)}"] == small(number, host=lab).data
    assert files["results/README.md"].count(b"\n| [2026") == 12


def _overtake(remote: Remote, times: int) -> None:
    """Let somebody else's commits come in just before each of so many pushes."""
    theirs = []
    for number in range(times):
        theirs.append(remote.add({f"theirs-{number}": b"x"}, branch="prepared"))
    (remote.path / "theirs").write_text("\n".join(theirs) + "\n")
    # Within a push git lets nobody change refs, unless it is not asked.
    remote.hook(
        "pre-receive",
        "unset GIT_QUARANTINE_PATH\n"
        "next=$(head -n 1 theirs)\n"
        'test -z "$next" && exit 0\n'
        "sed -i 1d theirs\n"
        'git update-ref refs/heads/main "$next"\n',
    )


@pytest.mark.parametrize("times", [1, 3])
def test_overtaken(remote: Remote, destination: MakeDestination, times: int) -> None:
    """Whoever pushes first, ours comes on top of theirs."""
    _overtake(remote, times)
    destination().publish_now(publication(small(1)))
    assert remote.subjects() == ["Theirs"] * times + ["Add result 1: main 0000001000 on bench1"]
    assert {f"theirs-{number}" for number in range(times)} < set(remote.files())


def test_always_overtaken(remote: Remote, destination: MakeDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others are faster each time, it gives up for now."""
    monkeypatch.setattr("benchyard.publish.git.repository._PUSHES", 3)
    _overtake(remote, 3)
    with pytest.raises(TryLater, match="3 times"):
        destination().publish_now(publication(small(1)))
    destination().publish_now(publication(small(1)))
    assert remote.subjects()[-1] == "Add result 1: main 0000001000 on bench1"


def test_hook_refuses(remote: Remote, destination: MakeDestination) -> None:
    """A server that says no has its words told, and gets it when it says yes."""
    place = destination()
    place.publish_now(publication(small(1)))
    remote.hook("pre-receive", 'echo "error: GH006: Protected branch update failed" >&2\nexit 1')
    with pytest.raises(Refused, match=r"remote rejected.*pre-receive hook declined.*GH006: Protected branch"):
        place.publish_now(publication(small(2)))
    assert len(remote.subjects()) == 1
    remote.hook("pre-receive", "exit 0")
    place.publish_now(publication(small(2)))
    assert len(remote.subjects()) == 2


def test_remote_gone(remote: Remote, destination: MakeDestination) -> None:
    """A repository that is not there may come back."""
    place = destination()
    away = remote.path.rename(remote.path.with_name("away"))
    with pytest.raises(TryLater, match="does not appear to be a git repository"):
        place.publish_now(publication(small(1)))
    away.rename(remote.path)
    place.publish_now(publication(small(1)))
    assert len(remote.subjects()) == 1


def test_no_program_is_run(remote: Remote, destination: MakeDestination, tmp_path: Path) -> None:
    """No address makes git run what it says, even if the settings let it pass."""
    place = destination()
    place._branch._url = f"ext::touch {tmp_path}/run"
    with pytest.raises(TryLater, match="transport 'ext' not allowed"):
        place.publish_now(publication(small(1)))
    assert not (tmp_path / "run").exists()


def test_ssh(destination: MakeDestination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is not let in is refused, a connection that fails is tried again; nobody is asked for anything."""
    said = tmp_path / "said"
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncat {said} >&2\nexit 255\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    place = destination(url="git@git.example:anna/results.git")
    for words, raised in (
        ("git@git.example: Permission denied (publickey).", Refused),
        ("Host key verification failed.", Refused),
        ("ERROR: The key you are authenticating with has been marked as read only.", Refused),
        ("ssh: connect to host git.example port 22: Connection refused", TryLater),
        ("ssh: Could not resolve hostname git.example: Name or service not known", TryLater),
        ("ERROR: Repository not found.", TryLater),
        ("something that nobody has ever seen", TryLater),
    ):
        said.write_text(f"{words}\n")
        with pytest.raises((Refused, TryLater)) as caught:
            place.publish_now(publication(small(1)))
        assert caught.type is raised, words
        assert "git fetch: " in str(caught.value)
    assert "BatchMode=yes" in (tmp_path / "asked").read_text()


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A web server that answers whatever it is asked with a status; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/r.git"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("status", "raised"), [(401, Refused), (403, Refused), (404, TryLater), (500, TryLater)])
def test_http(destination: MakeDestination, status: int, raised: type[Exception]) -> None:
    """A web server that wants a password or forbids is a refusal; all else may pass."""
    with answering(status) as url, pytest.raises((Refused, TryLater)) as caught:
        destination(url=url).publish_now(publication(small(1)))
    assert caught.type is raised


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def git_daemon(remote: Remote, port: int) -> Iterator[None]:
    """Git's own server of a repository on a port of this machine."""
    argv = ["git", "daemon", "--export-all", "--enable=receive-pack", "--listen=127.0.0.1", f"--port={port}"]
    daemon = subprocess.Popen([*argv, "--reuseaddr", f"--base-path={remote.path.parent}"], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        daemon.terminate()
        daemon.wait(20)


class Cut:
    """A connection to a port that is cut after so many bytes have gone out, once; and never again."""

    def __init__(self, port: int) -> None:
        self.to, self.after = port, -1
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.cuts = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(20)
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _address = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.to))
            pair = (client, server)
            threading.Thread(target=self._pass, args=(client, server, pair, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, pair, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, pair: tuple[socket.socket, ...], out: bool) -> None:
        passed = 0
        try:
            while data := source.recv(512):
                if out and 0 <= self.after < passed + len(data):
                    self.after, self.cuts = -1, self.cuts + 1
                    for end in pair:
                        end.shutdown(socket.SHUT_RDWR)
                    return
                sink.sendall(data)
                passed += len(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return


def test_network_is_cut(remote: Remote, destination: MakeDestination) -> None:
    """A connection that ends after any number of bytes leaves the repository right, and the next publish finishes."""
    port = _free_port()
    with git_daemon(remote, port):
        link = Cut(port)
        place = destination(url=f"git://127.0.0.1:{link.port}/{remote.path.name}", timeout_s=20.0)
        try:
            number = 0
            for after in (0, 60, 200, 400, 800, 1500, 3000):
                number += 1
                link.after = after
                failed = None
                try:
                    place.publish_now(publication(small(number)))
                except TryLater as exc:
                    failed = exc
                cut, link.after = link.after == -1, -1
                assert cut or failed is None
                place.publish_now(publication(small(number)))
                assert remote.read(f"results/{path_of(number)}") == small(number).data
                assert len(remote.subjects()) == number
            assert link.cuts >= 4
        finally:
            link.close()
    with pytest.raises(TryLater):
        place.publish_now(publication(small(number + 1)))


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


def test_silent_server(destination: MakeDestination, silent_port: int) -> None:
    """A server that says nothing is given up after the time that the settings say."""
    place = destination(url=f"git://127.0.0.1:{silent_port}/r.git", timeout_s=1.0)
    with pytest.raises(TryLater, match="not done within 1 s"):
        place.publish_now(publication(small(1)))


def test_lab_stops(destination: MakeDestination, silent_port: int, spin: Callable[..., Any]) -> None:
    """A publish that hangs ends with the destination, at once, and none begins after that."""
    place = destination(url=f"git://127.0.0.1:{silent_port}/r.git", timeout_s=300.0)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(place.publish_now, publication(small(1)))
        deadline = time.monotonic() + 20
        while place._git._process is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        spin(place.close())
        with pytest.raises(TryLater, match="the lab stops"):
            running.result(timeout=30)
    with pytest.raises(TryLater, match="the lab stops"):
        place.publish_now(publication(small(1)))


def test_in_a_thread(remote: Remote, destination: MakeDestination, spin: Callable[..., Any]) -> None:
    """As the lab calls it, a publish is not in the reactor's thread; what it raises arrives there."""
    place = destination()
    assert spin(place.publish(publication(small(1)))).words.startswith("commit ")
    assert spin(place.withdraw(publication(small(1)))).words.startswith("commit ")
    remote.hook("pre-receive", "exit 1")
    with pytest.raises(Refused):
        spin(place.publish(publication(small(2))))


def test_full_disk(remote: Remote, destination: MakeDestination, tmp_path: Path) -> None:
    """Where the lab's disk is full it is tried again, and works when there is room."""
    work = tmp_path / "work"
    work.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(work)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        hog = work / "hog"
        place = destination()
        for free in (0, 40_000, 120_000):
            hog.write_bytes(b"")
            with hog.open("wb", buffering=0) as file:
                try:
                    while file.write(b"x" * 4096):
                        pass
                except OSError:
                    file.truncate(max(0, hog.stat().st_size - free))
            try:
                place.publish_now(publication(small(1)))
            except TryLater:
                assert remote.subjects() == []
            else:
                assert free > 0
        hog.unlink()
        place.publish_now(publication(small(1)))
        assert remote.read(f"results/{path_of(1)}") == small(1).data
        assert len(remote.subjects()) == 1
    finally:
        subprocess.run(["umount", str(work)], check=True)
