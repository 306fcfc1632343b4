"""Git, called safely: names and addresses from outside are checked, and no call waits for ever or asks anybody."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from benchyard.tasks.errors import RecipeError, SourceError
from benchyard.tasks.processes import descendants

#: Transports that fetch data and run nothing; `ext::` and others run what an address says.
TRANSPORTS = ("https", "http", "git", "ssh", "file")

#: Seconds a question to a local repository, and a fetch from elsewhere, may take.
LOCAL_S, FETCH_S = 120.0, 3600.0

_COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*", re.ASCII)
# What git-check-ref-format refuses, and what would be an expression (`main~3`, `@{upstream}`) or an option.
_BAD_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.lock(/|$)|/\.|^[-./]|[./]$|^@$")


def git(
    arguments: Sequence[str], *, repository: Path | None = None, timeout_s: float = LOCAL_S, keep: int | None = None
) -> str:
    """Run git and return what it prints; SourceError, in one line, where it fails or takes too long.

    `keep` is a descriptor that git and its helpers hold as long as they live, such as one of a lock.
    """
    where = ["--git-dir", str(repository)] if repository is not None else []
    # Nothing is tidied behind anybody's back, and each fetch makes a pack: single objects would pile up.
    settings = ("gc.auto=0", "fetch.unpackLimit=1", "core.hooksPath=/dev/null")
    argv = ["git", *(part for setting in settings for part in ("-c", setting)), *where, *arguments]
    try:
        done = _run(argv, timeout_s, () if keep is None else (keep,))
    except FileNotFoundError as exc:
        raise SourceError("git is not installed on this machine; install it") from exc
    except subprocess.TimeoutExpired as exc:
        raise SourceError(f"git {arguments[0]} was not done within {timeout_s:g} s") from exc
    if done.returncode != 0:
        raise SourceError(f"git {arguments[0]} failed: {_why(done.stderr) or f'exit status {done.returncode}'}")
    return done.stdout.decode("utf-8", "replace")


def _run(argv: list[str], timeout_s: float, keep: tuple[int, ...]) -> "subprocess.CompletedProcess[bytes]":
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=git_environ(),
        pass_fds=keep,
    )
    try:
        out, err = process.communicate(timeout=timeout_s)
    except BaseException:
        # All of them: a helper that hangs would keep what it holds.
        for pid in (*descendants(process.pid), process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()
        raise
    return subprocess.CompletedProcess(argv, process.returncode, out, err)


def git_environ() -> dict[str, str]:
    """The variables of a call of git: it must ask nobody for a password, and use no transport that runs programs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=30",
        "GIT_ALLOW_PROTOCOL": ":".join(TRANSPORTS),
        "LC_ALL": "C",
    }


def is_commit(text: str) -> bool:
    """Whether this is the full name of a commit, and not a beginning or another name of it."""
    return _COMMIT.fullmatch(text) is not None


def check_ref(ref: str, field: str = "ref") -> str:
    """Return the name of a branch, tag or commit; RecipeError for anything that git could take for something else."""
    if not ref or len(ref) > 250 or not ref.isprintable() or _BAD_IN_REF.search(ref):
        raise RecipeError(field, f"{ref[:80]!r} is no name of a branch, tag or commit")
    return ref


def check_url(url: str, field: str = "remote") -> str:
    """Return the address of a repository; RecipeError for one that git would run or read anything else by.

    Git and web servers decode `%2e`, so what a path means is looked at, and not only how it is written.
    """
    shown = repr(url[:120])
    try:
        parts = urlsplit(url)
        _port = parts.port
    except ValueError as exc:
        raise RecipeError(field, f"{shown} is no address of a repository: {exc}") from exc
    if not url.isascii() or not url.isprintable() or " " in url or "::" in url.partition("//")[0]:
        raise RecipeError(field, f"{shown} is no address of a repository")
    if parts.scheme not in TRANSPORTS:
        raise RecipeError(field, f"{shown}: addresses begin with {', '.join(f'{name}://' for name in TRANSPORTS)}")
    if parts.password is not None:
        raise RecipeError(field, "an address must not have a password in it: it would be shown and kept")
    path = unquote(parts.path)
    if parts.query or parts.fragment or ".." in path.split("/") or not path.isprintable() or "%" in path + parts.netloc:
        raise RecipeError(field, f"{shown} is no plain address of a repository")
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise RecipeError(field, f"{shown}: say file:///PATH")
    elif not _HOST.fullmatch(parts.hostname or "") or (parts.username or "").startswith("-"):
        raise RecipeError(field, f"{shown} names no host")
    return url


def _why(stderr: bytes) -> str:
    """The line of git's complaint that tells most."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:"))]
    text = (telling or lines[-1:] or [""])[0]
    return "".join(char for char in text if char.isprintable())[:300]
