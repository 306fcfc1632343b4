"""What names mean: branches, tags and beginnings of commits of the remotes a lab knows, made full commits.

One bare repository has the histories of all remotes, without files: HISTORY/refs/remotes/NAME/{heads,tags}/*. A name is
looked up in its own remote's part alone, so that a fork's branch never passes for another's.
"""

import re
from pathlib import Path
from typing import NamedTuple

from benchyard.tasks.errors import RecipeError, SourceError
from benchyard.tasks.git import FETCH_S, check_ref, git, is_commit
from benchyard.tasks.repository import changing, put_together

_PULL = re.compile(r"(?:refs/)?(pull/[1-9][0-9]*/(?:head|merge))", re.ASCII)
_ABBREVIATION = re.compile(r"[0-9a-f]{7,39}", re.ASCII)
_LOCK_S = 3600.0
#: The last second of the year 9999.
_LAST_S = 253_402_300_799.0


class Commit(NamedTuple):
    """A commit: its full name, the branch that was named, and its time in epoch seconds, 0 if no calendar has it."""

    commit: str
    branch: str | None
    time: float


class History:
    """The histories of remotes, in the bare repository at `path`; made when first needed. All calls block."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fetch(self, remote: str, url: str) -> None:
        """Bring branches and tags of a remote up to date; `remote` is a name that is safe in a path."""
        heads, tags = (f"+refs/{kind}/*:refs/remotes/{remote}/{kind}/*" for kind in ("heads", "tags"))
        self._fetch("--prune", url, heads, tags)

    def resolve(self, remote: str, url: str, ref: str, *, branch: str | None = None) -> Commit:
        """The commit that `ref` names in a remote: a branch, a tag, a full commit or at least 7 digits of one.

        Or a pull request, `refs/pull/12/head`, where the remote's server keeps these as GitHub does. With `branch`, the
        commit must be on that branch. A full commit that is known costs no connection. Raises RecipeError for names
        that mean nothing, or several things, and SourceError where the remote does not answer.
        """
        check_ref(ref)
        if is_commit(ref) and self._has(ref) and self._leads_to(remote, ref, branch):
            found: str | None = ref
        else:
            self.fetch(remote, url)
            found = self._find(remote, url, ref)
        if found is None:
            raise RecipeError("ref", f"{remote} has no branch, tag or commit {ref!r}")
        named = branch or (ref if not is_commit(ref) and self._known(remote, f"heads/{ref}") == found else None)
        if branch is not None:
            tip = self._known(remote, f"heads/{check_ref(branch, 'branch')}")
            if tip is None:
                raise RecipeError("branch", f"{remote} has no branch {branch!r}")
            if self.merge_base(found, tip) != found:
                raise RecipeError("ref", f"{ref!r} is not on the branch {branch!r} of {remote}")
        seconds = self._git("rev-list", "--no-walk", "--timestamp", found).split()[0]
        return Commit(found, named, _time(seconds))

    def tip(self, remote: str, branch: str) -> str | None:
        """The last commit of a branch as it was fetched last; None where there is no such branch."""
        return self._known(remote, f"heads/{branch}")

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor of two commits, None where they have none."""
        try:
            return self._git("merge-base", one, other).split()[0]
        except (SourceError, IndexError):
            return None

    def between(self, first: str, last: str, *, all_parents: bool = False) -> list[Commit]:
        """The commits after `first` up to `last` along the first parents, or along all; oldest first."""
        along = [] if all_parents else ["--first-parent"]
        lines = self._git("rev-list", *along, "--reverse", "--timestamp", f"{first}..{last}").splitlines()
        return [Commit(commit, None, _time(seconds)) for seconds, commit in (line.split() for line in lines)]

    def tags(self, remote: str, pattern: str) -> dict[str, str]:
        """Commits by the tags of a remote that match a pattern such as `v3.14.*`."""
        check_ref(pattern.replace("*", "x").replace("?", "x"), "tags")
        base = f"refs/remotes/{remote}/tags/"
        found = self._git("for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", base + pattern)
        rows = [line.split() for line in found.splitlines()]
        return {row[0].removeprefix(base): row[-1] for row in rows}

    def _find(self, remote: str, url: str, ref: str) -> str | None:
        """The commit of a name, after a fetch."""
        named = {
            kind: found for kind in ("heads", "tags") if (found := self._known(remote, f"{kind}/{ref}")) is not None
        }
        if len(set(named.values())) > 1:
            raise RecipeError("ref", f"{remote} has a branch and a tag {ref!r}; give the commit instead")
        if named:
            return next(iter(named.values()))
        if is_commit(ref):
            return ref if self._leads_to(remote, ref) or self._fetch_commit(remote, url, ref) else None
        if pull := _PULL.fullmatch(ref):
            return self._fetch_pull(remote, url, pull[1])
        if _ABBREVIATION.fullmatch(ref):
            return self._of_abbreviation(remote, ref)
        return None

    def _of_abbreviation(self, remote: str, ref: str) -> str | None:
        commits = []
        for name in self._git("rev-parse", f"--disambiguate={ref}").split():
            commits += [name] if self._leads_to(remote, name) else []
        if len(commits) > 1:
            shown = ", ".join(name[:12] for name in commits[:3])
            raise RecipeError("ref", f"{ref!r} is the beginning of several commits ({shown}); give more of it")
        return commits[0] if commits else None

    def _leads_to(self, remote: str, commit: str, branch: str | None = None) -> bool:
        """Whether any branch or tag of a remote, or the one that is named, leads to a commit that is here."""
        where = f"refs/remotes/{remote}" if branch is None else f"refs/remotes/{remote}/heads/{branch}"
        try:
            return bool(self._git("for-each-ref", "--count=1", f"--contains={commit}", where).strip())
        except SourceError:  # no such object, or one that is no commit
            return False

    def _fetch_commit(self, remote: str, url: str, commit: str) -> bool:
        """Fetch a commit that no branch or tag leads to, such as one of a pull request; whether that worked."""
        if self._has(commit):
            return False  # it is another remote's, and git would not ask this one for what is here
        try:
            self._fetch("--no-prune", url, f"+{commit}:refs/remotes/{remote}/commits/{commit}")
        except SourceError:
            return False
        return self._has(commit)

    def _fetch_pull(self, remote: str, url: str, name: str) -> str | None:
        """Fetch a pull request as it is now; its commit, None where there is none of that number."""
        try:
            self._fetch("--no-prune", url, f"+refs/{name}:refs/remotes/{remote}/{name}")
        except SourceError:
            return None
        return self._known(remote, name)

    def _known(self, remote: str, name: str) -> str | None:
        try:
            full = f"refs/remotes/{remote}/{name}^{{commit}}"
            return self._git("rev-parse", "--verify", "--quiet", "--end-of-options", full).strip() or None
        except SourceError:
            return None

    def _has(self, commit: str) -> bool:
        try:
            return self.path.exists() and self._git("cat-file", "-t", commit).strip() == "commit"
        except SourceError:
            return False

    def _fetch(self, prune: str, url: str, *wanted: str) -> None:
        with changing(self.path, limit_s=_LOCK_S) as held:
            options = ("--quiet", prune, "--no-tags", "--filter=tree:0")
            git(["fetch", *options, "--", url, *wanted], repository=self.path, timeout_s=FETCH_S, keep=held)
            put_together(self.path, "-a", keep=held)

    def _git(self, *arguments: str) -> str:
        return git(arguments, repository=self.path)


def _time(seconds: str) -> float:
    """A commit's time as git has it, which whoever made the commit could choose."""
    found = float(seconds)
    return found if 0.0 <= found <= _LAST_S else 0.0
