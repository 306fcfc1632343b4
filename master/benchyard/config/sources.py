"""From "main", "someone's fork" or "this patch on top" to a full commit, fixed when a job is submitted."""

import difflib
import hashlib
import re
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from benchyard.config.settings import ADDRESSES, FORKS, SETTINGS_FILE, Remote, Settings
from benchyard.queueing.backfill import BackfillRequest
from benchyard.queueing.requests import Invalid, JobRequest, Source
from benchyard.tasks.errors import RecipeError, SourceError
from benchyard.tasks.flags import check_configure_args, check_flags
from benchyard.tasks.git import check_ref, check_url
from benchyard.tasks.history import Commit, History
from benchyard.tasks.patches import check_patch, patch_id
from benchyard.tasks.recipe import Recipe, recipe_hash

_PATTERN = re.compile(r"[*?\[\\]")
_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,38})", re.ASCII)


class Repository(NamedTuple):
    """Where to build from: the name it is shown by, its name in the history, its address, and what it is a fork of."""

    name: str
    known_as: str
    url: str
    upstream: str
    remote: Remote


def resolve_source(settings: Settings, target: str, request: JobRequest) -> Source:
    """What a request for an interpreter to build means now; Invalid names the field. Blocks as long as git takes."""
    try:
        return _resolved(settings, target, request)
    except RecipeError as exc:
        raise Invalid(exc.field, f"{exc}") from exc
    except SourceError as exc:
        raise Invalid("remote", f"{exc}; is the remote's address right, and does it answer?") from exc


def _resolved(settings: Settings, target: str, request: JobRequest) -> Source:
    place = settings.targets[target]
    flags = check_flags((*place.flags, *request.flags))
    configure_args = check_configure_args(request.configure_args)
    level = check_patch(request.patch) if request.patch is not None else 1
    patch = patch_id(request.patch) if request.patch is not None else None
    repository = find_repository(settings, request.remote)
    history = History(settings.history)
    branch = check_ref(request.branch, "branch") if request.branch is not None else None
    ref = request.ref or branch or repository.remote.base
    found = history.resolve(repository.known_as, repository.url, ref, branch=branch)
    recipe = Recipe(
        commit=found.commit,
        patch=patch,
        flags=flags,
        configure_args=configure_args,
        environ=place.compiler,
        target=target,
    )
    return Source(
        remote=repository.name,
        url=repository.url,
        ref=ref,
        commit=found.commit,
        branch=found.branch,
        merge_base=_merge_base(history, repository, found.commit),
        time=found.time,
        patch=patch,
        patch_level=level,
        flags=flags,
        configure_args=configure_args,
        environ=place.compiler,
        recipe=recipe_hash(recipe),
    )


def commits_of(settings: Settings, wanted: BackfillRequest) -> tuple[Source, ...]:
    """The sources that a backfill is about, oldest first; Invalid names the field. Blocks as long as git takes."""
    target = wanted.job.target or next(iter(settings.targets))
    if target not in settings.targets:
        raise Invalid("target", f"unknown target {target!r}; there are {', '.join(settings.targets)}")
    if wanted.job.patch is not None or wanted.job.ref is not None or wanted.job.python is not None:
        raise Invalid("ref", "a backfill is of a range of commits, and of nothing else")
    last = resolve_source(settings, target, msgspec.structs.replace(wanted.job, ref=wanted.last))
    first = resolve_source(settings, target, msgspec.structs.replace(wanted.job, ref=wanted.first, branch=None))
    try:
        chosen = _chosen(settings, wanted, first.commit, last.commit)
    except RecipeError as exc:
        raise Invalid(exc.field, f"{exc}") from exc
    if not chosen:
        raise Invalid("first", f"there is no such commit after {wanted.first!r} up to {wanted.last!r}")
    history = History(settings.history)
    return tuple(_at(history, last, target, commit) for commit in chosen)


def all_tagged(settings: Settings) -> frozenset[str]:
    """The commits that the remotes have any tag on, as far as they were fetched."""
    history = History(settings.history)
    if not history.path.exists():
        return frozenset()
    return frozenset(commit for remote in settings.remotes for commit in history.tags(remote, "*").values())


def tagged(settings: Settings, name: str) -> tuple[str, ...]:
    """The commits that the remotes have this tag on, as far as they were fetched; a name that is no tag's has none."""
    history = History(settings.history)
    if not history.path.exists() or _PATTERN.search(name):
        return ()
    try:
        return tuple({history.tags(remote, name).get(name, "") for remote in settings.remotes} - {""})
    except (RecipeError, SourceError):
        return ()


def _chosen(settings: Settings, wanted: BackfillRequest, first: str, last: str) -> list[Commit]:
    history = History(settings.history)
    if wanted.tags is not None:
        tagged = set(history.tags(find_repository(settings, wanted.job.remote).known_as, wanted.tags).values())
        return [commit for commit in history.between(first, last, all_parents=True) if commit.commit in tagged]
    commits = history.between(first, last)
    if wanted.weekly:
        weeks = {datetime.fromtimestamp(commit.time, UTC).isocalendar()[:2]: commit for commit in commits}
        return list(weeks.values())
    return commits[::-1][:: wanted.every][::-1]


def _at(history: History, last: Source, target: str, commit: Commit) -> Source:
    """The same at a commit before."""
    # Whatever an earlier commit shares with the base branch, the last one shares as well.
    base = last.merge_base and history.merge_base(commit.commit, last.merge_base)
    at = msgspec.structs.replace(last, ref=commit.commit, commit=commit.commit, time=commit.time, merge_base=base)
    recipe = Recipe(
        commit=at.commit,
        flags=at.flags,
        configure_args=at.configure_args,
        environ=at.environ,
        target=target,
    )
    return msgspec.structs.replace(at, recipe=recipe_hash(recipe))


def base_of(source: Source) -> str:
    """The commit that a source is to be compared with: itself without its patch, else where its branch began."""
    if source.patch is not None:
        return source.commit
    if source.merge_base is None:
        raise Invalid("also_base", "the commit has no ancestor in common with the branch it is meant for")
    if source.merge_base == source.commit:
        raise Invalid("also_base", "the commit is on the base branch itself; name what to compare with as another job")
    return source.merge_base


def find_repository(settings: Settings, name: str | None) -> Repository:
    """The repository of a remote's name, of an owner of forks, or of an address that the settings allow."""
    if not settings.remotes:
        raise RecipeError(
            "ref",
            "this lab builds nothing yet: add a table such as [remotes.upstream] to"
            f" {SETTINGS_FILE} and start the lab anew",
        )
    first, upstream = next(iter(settings.remotes.items()))
    if name is None:
        return Repository(first, first, upstream.url, first, upstream)
    if name in settings.remotes:
        return Repository(name, name, settings.remotes[name].url, name, settings.remotes[name])
    if "/" in name or ":" in name:
        return _by_address(settings, name, first, upstream)
    for parent, remote in settings.remotes.items():
        if remote.forks and _OWNER.fullmatch(name) and not name.endswith(".lock") and ".." not in name:
            return Repository(name, f"{FORKS}/{name}", remote.forks.replace("{owner}", name), parent, remote)
    close = difflib.get_close_matches(name, settings.remotes, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(settings.remotes)}"
    raise RecipeError("remote", f"no remote {name[:80]!r}; {hint}")


def _by_address(settings: Settings, url: str, first: str, upstream: Remote) -> Repository:
    check_url(url)
    for name, remote in settings.remotes.items():
        if remote.url == url:
            return Repository(name, name, url, name, remote)
    if not any(url.startswith(prefix if prefix.endswith("/") else prefix + "/") for prefix in settings.lab.remote_urls):
        allowed = ", ".join(settings.lab.remote_urls) or "none"
        raise RecipeError("remote", f"{url!r} is not allowed here; addresses that are: {allowed} (remote_urls)")
    known_as = f"{ADDRESSES}/{hashlib.sha256(url.encode()).hexdigest()[:16]}"
    return Repository(url, known_as, url, first, upstream)


def _merge_base(history: History, repository: Repository, commit: str) -> str | None:
    """Where a commit leaves the branch it is meant for; of another repository, as that is now."""
    if repository.known_as != repository.upstream or history.tip(repository.upstream, repository.remote.base) is None:
        history.fetch(repository.upstream, repository.remote.url)
    tip = history.tip(repository.upstream, repository.remote.base)
    return history.merge_base(commit, tip) if tip is not None else None
