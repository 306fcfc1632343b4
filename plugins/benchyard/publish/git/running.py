"""Git on a bare repository of the lab's own: it asks nobody, outlives nobody for long, and what it leaves is mended."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

#: Transports that move data and run nothing that an address says; `ext::` and others do.
TRANSPORTS = ("https", "http", "git", "ssh", "file")

# Seconds that a git of ourselves is waited for that an earlier publish has left, and that one on local files may take.
_LOCK_S, LOCAL_S = 20.0, 120.0

# So many single objects, or packs of them, pile up before they are put together.
_MANY, _MANY_PACKS = 2000, 50

# Nothing is tidied behind our back, and no hook and no configuration of the host signs or checks anything.
_SETTINGS = ("gc.auto=0", "core.hooksPath=/dev/null", "push.gpgSign=false", "fetch.writeCommitGraph=false")

# What a git that was killed leaves in a repository.
_LEFTOVERS = (
    "*.lock",
    "gc.pid",
    "refs/**/*.lock",
    "objects/**/*.lock",
    "objects/**/tmp_*",
    "objects/pack/.tmp-*",
    "objects/pack/*.keep",
)

# What git says where the local copy is damaged.
_DAMAGE = (
    "bad config",
    "corrupt",
    "bad object",
    "bad tree object",
    "bad signature",
    "index file",
    "invalid object",
    "loose object",
    "missing blob",
    "not a git repository",
    "object file",
    "packfile",
    "reference broken",
    "shallow",
    "unable to read",
)


class GitFailed(Exception):
    """A command of git has failed; `said` is all that it said, the message the line of it that tells most."""

    def __init__(self, command: str, said: str, status: int) -> None:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        telling = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:"))]
        line = (telling or lines[-1:] or [f"exit status {status}"])[0]
        super().__init__(f"git {command}: {''.join(filter(str.isprintable, line))[:300]}")
        self.command, self.said = command, said

    @property
    def is_damage(self) -> bool:
        """Whether it may be the local copy that is damaged."""
        return any(word in self.said for word in _DAMAGE)


class Busy(Exception):
    """Another git is at work in the folder, or the lab stops."""


class Git:
    """Calls of git on the bare repository in `folder`, one at a time; all of them block."""

    def __init__(self, folder: Path, *, timeout_s: float) -> None:
        self.folder = folder
        self.repository = folder / "repository.git"
        self.timeout_s = timeout_s
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder: no git of an earlier publish, or of another process, is at work in it meanwhile.

        Each git holds the lock as well, for as long as it or a helper of it lives.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + _LOCK_S
            while not _locked(lock):
                if time.monotonic() > deadline:
                    raise Busy(f"another git is at work in {self.folder}")
                self.pause(0.1)
            self._lock = lock
            self._mend()
            yield
        finally:
            self._lock = None
            os.close(lock)

    def pause(self, seconds: float) -> None:
        """Wait, unless the lab stops."""
        if self._stopped.wait(seconds):
            raise Busy("the lab stops")

    def forget(self) -> None:
        """Throw the local copy away: it is fetched anew."""
        shutil.rmtree(self.repository, ignore_errors=True)
        self._mend()

    def stop(self) -> None:
        """End what runs, from another thread, and run nothing any more."""
        self._stopped.set()
        if (process := self._process) is not None:
            _signal(process, signal.SIGTERM)

    def run(
        self,
        *arguments: str,
        data: bytes | None = None,
        environ: Mapping[str, str] | None = None,
        settings: Sequence[str] = (),
        timeout_s: float = LOCAL_S,
    ) -> bytes:
        """Run git with `data` as its input and return what it prints; GitFailed where it fails or takes too long."""
        if self._stopped.is_set() or self._lock is None:
            raise Busy("the lab stops")
        argv = [
            # Python's own limit ends with the master; this one ends git even if the master was killed.
            *("timeout", "--kill-after=5", f"{timeout_s:g}"),
            *("git", "--git-dir", str(self.repository)),
            *(part for setting in (*_SETTINGS, *settings) for part in ("-c", setting)),
            *arguments,
        ]
        out, err, status = self._communicate(argv, data, {**_environ(), **(environ or {})}, self._lock)
        if self._stopped.is_set():
            raise Busy("the lab stops")
        if status in (124, 137):
            raise GitFailed(arguments[0], f"not done within {timeout_s:g} s", status)
        if status != 0:
            said = out + err if arguments[0] == "push" else err
            raise GitFailed(arguments[0], said.decode("utf-8", "replace"), status)
        return out

    def remote(self, *arguments: str) -> bytes:
        """The same for what talks with another repository, which may take the time that the settings say."""
        return self.run(*arguments, timeout_s=self.timeout_s)

    def tidy(self) -> None:
        """Put together what has piled up, now and then; one thread, as something may be measured beside."""
        objects = self.repository / "objects"
        loose, packs = (sum(1 for _ in objects.glob(pattern)) for pattern in ("??/*", "pack/*.pack"))
        if loose > _MANY or packs > _MANY_PACKS:
            with contextlib.suppress(GitFailed):
                self.run("gc", "--quiet", "--prune=now", settings=("pack.threads=1",), timeout_s=self.timeout_s)

    def _communicate(
        self, argv: list[str], data: bytes | None, environ: dict[str, str], keep: int
    ) -> tuple[bytes, bytes, int]:
        self._process = process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
            pass_fds=(keep,),
            cwd=self.folder,
            process_group=0,
        )
        try:
            if self._stopped.is_set():  # while it was started
                _signal(process, signal.SIGTERM)
            out, err = process.communicate(data)
        finally:
            self._process = None
        return out, err, process.returncode

    def _mend(self) -> None:
        """Make the repository where there is none, and remove what a git left that was killed."""
        if not ((self.repository / "HEAD").is_file() and (self.repository / "objects").is_dir()):
            shutil.rmtree(self.repository, ignore_errors=True)
            new = self.repository.with_suffix(".new")
            shutil.rmtree(new, ignore_errors=True)
            argv = ["git", "init", "--quiet", "--bare", "--template=", str(new)]
            done = subprocess.run(argv, capture_output=True, env=_environ(), timeout=LOCAL_S, cwd=self.folder)
            if done.returncode != 0:
                raise GitFailed("init", done.stderr.decode("utf-8", "replace"), done.returncode)
            new.rename(self.repository)
        for pattern in _LEFTOVERS:
            for left in self.repository.glob(pattern):
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink(missing_ok=True)


def _signal(process: "subprocess.Popen[bytes]", number: int) -> None:
    """Send a signal to a git and all its helpers."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _environ() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=30 -oServerAliveInterval=15",
        "GIT_ALLOW_PROTOCOL": ":".join(TRANSPORTS),
        "GIT_NO_REPLACE_OBJECTS": "1",
        "LC_ALL": "C",
        "LANGUAGE": "C",
    }
