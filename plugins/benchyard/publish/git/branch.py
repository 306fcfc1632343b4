"""A branch of a repository elsewhere, and what git says of it in words for people."""

from benchyard.publish.destinations import Refused, TryLater
from benchyard.publish.git.running import Git, GitFailed

_REF = "refs/benchyard/branch"

_NO_BRANCH = "couldn't find remote ref"

# What git, ssh and servers say where the lab may not push, now or later.
_DENIED = (
    "ermission denied",
    "Permission to ",
    "Authentication failed",
    "Host key verification failed",
    "could not read Username",
    "could not read Password",
    "insufficient permission",
    "marked as read only",
    "returned error: 401",
    "returned error: 403",
    "service not enabled",
)

# Why a server does not take a push although nothing is wrong with it: somebody else's has just come before.
_OVERTAKEN = (
    "[rejected]",
    "cannot lock ref",
    "failed to update ref",
    "incorrect old value",
    "reference already exists",
)


class Branch:
    """A branch of the repository at `url`. All calls block."""

    def __init__(self, git: Git, url: str, name: str) -> None:
        self._git, self._url, self._name = git, url, name

    def fetch(self) -> str | None:
        """The commit of the branch as it is now; None where there is no such branch, or nothing at all."""
        wanted = f"+refs/heads/{self._name}:{_REF}"
        options = ("--quiet", "--no-tags", "--depth=1", "--update-shallow", "--no-write-fetch-head")
        try:
            self._git.remote("fetch", *options, "--", self._url, wanted)
        except GitFailed as exc:
            if _NO_BRANCH in exc.said:
                return None
            raise
        return self._git.run("rev-parse", "--verify", "--quiet", f"{_REF}^{{commit}}").decode().strip()

    def push(self, commit: str) -> bool:
        """Whether the branch is now at a commit; False where others were faster."""
        wanted = f"{commit}:refs/heads/{self._name}"
        try:
            self._git.remote("push", "--porcelain", "--no-verify", "--", self._url, wanted)
        except GitFailed as exc:
            line = next((line for line in exc.said.splitlines() if line.startswith("!\t")), None)
            if line is None:
                raise
            if any(word in line for word in _OVERTAKEN):
                return False
            if "[remote rejected]" in line and "unpacker error" not in line:
                raise Refused(_rejected(line, exc.said)) from exc
            raise
        self._git.run("update-ref", _REF, commit)
        return True


def trouble(failed: GitFailed) -> Exception:
    """What it means for a publish that git has failed: Refused where it may not, and TryLater for all else."""
    if failed.command in ("fetch", "push") and any(word in failed.said for word in _DENIED):
        return Refused(f"{failed}; give the lab's user the right to push there, and publish it again")
    return TryLater(str(failed))


def _rejected(line: str, said: str) -> str:
    """Why a server refuses a push for good: its own words, and those of its hook."""
    hook = [text.removeprefix("remote:").strip() for text in said.splitlines() if text.startswith("remote:")]
    words = " ".join([line.rpartition("\t")[2], *filter(None, hook)])
    return "".join(char for char in words if char.isprintable())[:500]
