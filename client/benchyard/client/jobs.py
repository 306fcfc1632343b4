"""Jobs: requests to measure, as the lab tells of them, and the collection `client.jobs`."""

import builtins
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Literal

import msgspec

from benchyard.client.entities import Document, Entity, ask
from benchyard.client.errors import Unavailable
from benchyard.client.paging import Collection, Moment, Pages, pages
from benchyard.client.waiting import watch

FINAL = frozenset({"success", "failed", "canceled", "lost"})
MAINTENANCE = frozenset({"configure", "update", "check"})
Mode = Literal["default", "fast", "rigorous"]


class JobSource(msgspec.Struct, frozen=True, kw_only=True):
    """What a job builds: `ref` of `remote` as it was asked for, and the commit that it meant when it was submitted.

    `merge_base` is the last commit shared with the branch it is meant for, `patch` the SHA-256 of a patch on top.
    """

    remote: str = ""
    url: str = ""
    ref: str = ""
    commit: str = ""
    branch: str | None = None
    merge_base: str | None = None
    patch: str | None = None
    flags: tuple[str, ...] = ()
    configure_args: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The source in a few words: `main 3f2a1b9c4d5e + patch (pgo,lto)`."""
        name = self.branch if self.commit.startswith(self.ref) else self.ref
        words = [name, self.commit[:12]] if name else [self.commit[:12]]
        words += ["+ patch"] if self.patch else []
        words += [f"({','.join(self.flags)})"] if self.flags else []
        return " ".join(words)


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a job measures: an interpreter on the host or one to build, and benchmarks as selected and as asked for.

    `suite` names the benchmarks' own version among the lab's, `same_loops` the result that loop counts are taken from.
    One that looks after a host measures nothing: `check` says that it changes nothing either, `before` is the check
    before it, `after` the job whose outcome it looks at.
    """

    python: str = ""
    source: JobSource | None = None
    benchmarks: tuple[str, ...] = ()
    selection: tuple[str, ...] = ()
    mode: str = "default"
    affinity: str | None = None
    suite: str = ""
    suite_version: str = ""
    same_loops: int | None = None
    check: bool = False
    reboot: bool = False
    before: int | None = None
    after: int | None = None

    @property
    def interpreter(self) -> str:
        """The interpreter in a few words: its path, or what it is built from."""
        return self.python if self.source is None else self.source.label


class JobProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run is: benchmark number `index` of `total`, counted from 1, started at `since`."""

    index: int
    total: int
    benchmark: str
    since: datetime | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at a job's measurement on one host."""

    number: int
    host: str | None = None
    status: str = ""
    cause: str | None = None
    started: datetime | None = None
    finished: datetime | None = None


class FailedBenchmark(msgspec.Struct, frozen=True, kw_only=True):
    """A benchmark of which there are no values, with the reason and the end of its output."""

    name: str
    error: str | None = None
    log_tail: str = ""


class Job(Entity, frozen=True, kw_only=True):
    """One request to measure; times are in UTC.

    Status goes created, queued, building, ready, running, storing, success; or failed, canceled, lost. `summary` is
    what came of one that looks after a host, in one line.
    """

    id: int
    kind: str = "benchmarks"
    target: str | None = None
    host: str | None = None
    owner: str | None = None
    origin: str = ""
    reason: str = ""
    spec: JobSpec = JobSpec()
    error: str | None = None
    progress: JobProgress | None = None
    attempts: tuple[Attempt, ...] = ()
    results: tuple[int, ...] = ()
    failed_benchmarks: tuple[FailedBenchmark, ...] = ()
    interpreter: str | None = None
    base_job: int | None = None
    url: str | None = None
    queued: datetime | None = None
    started: datetime | None = None
    finished: datetime | None = None
    summary: str | None = None

    collection_: ClassVar[str] = "jobs"
    shown_as_: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "python": ("spec", "python"),
        "benchmarks": ("spec", "selection"),
        "mode": ("spec", "mode"),
        "affinity": ("spec", "affinity"),
    }

    @property
    def is_maintenance(self) -> bool:
        """Whether it looks after a host instead of measuring on it."""
        return self.kind in MAINTENANCE

    @property
    def place(self) -> str | None:
        """The host of the latest attempt, else the one that was asked for, if any."""
        hosts = [attempt.host for attempt in self.attempts if attempt.host]
        return hosts[-1] if hosts else self.host

    @property
    def ended(self) -> bool:
        """Whether the job has its final status."""
        return self.status in FINAL or self.finished is not None

    @property
    def succeeded(self) -> bool:
        """Whether it ended with a result; some benchmarks may have failed (`failed_benchmarks`)."""
        return self.status == "success"

    def modify(
        self,
        *,
        reason: str | msgspec.UnsetType = msgspec.UNSET,
        python: str | msgspec.UnsetType = msgspec.UNSET,
        benchmarks: Sequence[str] | msgspec.UnsetType = msgspec.UNSET,
        mode: Mode | msgspec.UnsetType = msgspec.UNSET,
        affinity: str | msgspec.UnsetType | None = msgspec.UNSET,
        host: str | msgspec.UnsetType | None = msgspec.UNSET,
        expect: bool = True,
    ) -> "Job":
        """Change the reason at any time, the rest while the job is created or queued; Conflict later.

        None takes an affinity or a host back. Stale if the same was changed meanwhile, unless `expect` is False.
        """
        chosen = msgspec.UNSET if benchmarks is msgspec.UNSET else list(benchmarks)
        changes = {"reason": reason, "python": python, "benchmarks": chosen, "mode": mode}
        return self._modified({**changes, "affinity": affinity, "host": host}, expect=expect)

    def remove(self) -> None:
        """Remove a job that is not queued or has ended; Conflict otherwise. Its results stay."""
        super().remove()

    def run(self) -> "Job":
        """Queue a job that is not queued."""
        return self._asked("POST", "/run")

    def cancel(self) -> "Job":
        """Ask for the end of the job; the status follows once its host has let go of it."""
        return self._asked("POST", "/cancel")

    def attach(self, *, timeout_s: float | None = None) -> "Iterator[Job]":
        """Yield the job now and each time it has changed, up to its end.

        Leaving the loop leaves the job alone. Raises WaitTimeout when `timeout_s` seconds are over; a lab
        that is away for some minutes (a restart) is waited for.
        """
        last = self.refresh()
        yield last
        if last.ended:
            return
        for job in watch(last.refresh, self.link.polling, what=f"job {self.id}", timeout_s=timeout_s):
            if job != last:
                yield job
            if job.ended:
                return
            last = job

    def wait(self, timeout_s: float | None = None, on_change: "Callable[[Job], object] | None" = None) -> "Job":
        """Return the job once it has ended; `on_change` is called with it now and at each change."""
        job = self
        for job in self.attach(timeout_s=timeout_s):
            if on_change is not None:
                on_change(job)
        return job

    def log(self, follow: bool = False) -> Iterator[str]:
        """Yield the text of the job's log in pieces; with `follow`, as it is written, up to its end.

        A followed log whose connection breaks is taken up again where it broke off, within the patience of
        the client.
        """
        if not follow:
            yield from self.link.api.stream_text(f"/jobs/{self.id}/log")
            return
        polling = self.link.polling
        heard = polling.clock()
        given, ended = 0, False
        while True:
            skip = given
            try:
                for text in self.link.api.stream_text(f"/jobs/{self.id}/log", {"follow": 1}):
                    fresh = text[skip:]
                    skip -= len(text) - len(fresh)
                    given += len(fresh)
                    if fresh:
                        yield fresh
                return
            except Unavailable:
                if ended or polling.clock() - heard > polling.patience_s:
                    raise
            # A silent log is no sign of a lost lab: ask for the job before giving up.
            polling.sleep(polling.first_s)
            with contextlib.suppress(Unavailable):
                ended = self.refresh().ended
                heard = polling.clock()


class Backfilled(Document, frozen=True, kw_only=True):
    """What came of a backfill: the jobs made, of how many commits how many were missing, and how long they take."""

    jobs: tuple[int, ...] = ()
    commits: int = 0
    missing: int = 0
    seconds: float | None = None


class Jobs(Collection[Job]):
    """The jobs of a lab, newest first."""

    def list(
        self,
        *,
        status: str | Sequence[str] = (),
        kind: str | None = None,
        target: str | None = None,
        host: str | None = None,
        user: str | None = None,
        commit: str | None = None,
        branch: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Pages[Job]:
        """Iterate over jobs, newest first; of what is given only.

        `status` is one or several, `kind` as in `add`, `user` the owner; `commit` and `branch` are those of the job's
        results, `since` and `until` bound the time at which it was made.
        """
        statuses = status if isinstance(status, str) else ",".join(status)
        filters = {"status": statuses, "kind": kind, "target": target, "host": host, "user": user, "commit": commit}
        return self._listed({**filters, "branch": branch, "since": since, "until": until}, limit, cursor)

    def get(self, job_id: int) -> Job:
        """Return the job; NotFound if there is none of this number."""
        return self._get(job_id)

    @property
    def current(self) -> builtins.list[Job]:
        """The jobs being built, ready, measured or stored now."""
        return [*pages(Job, "/jobs/current", {}, self._link, whole=True)]

    def add(
        self,
        python: str | None = None,
        *,
        kind: str = "benchmarks",
        ref: str | None = None,
        remote: str | None = None,
        branch: str | None = None,
        patch: str | None = None,
        flags: Sequence[str] = (),
        configure_args: Sequence[str] = (),
        also_base: bool = False,
        again: bool = False,
        strict: bool = False,
        upload: bool = False,
        target: str | None = None,
        host: str | None = None,
        benchmarks: Sequence[str] = (),
        mode: Mode = "default",
        affinity: str | None = None,
        suite: str | None = None,
        same_loops: int | None = None,
        reason: str | None = None,
        run: bool = True,
    ) -> Job:
        """Make a job that measures an interpreter; queue it unless told not to.

        `kind` is "benchmarks", "memory", "profile" or another of the lab's; "calibrate" has its interpreter from the
        target's settings.
        `python` is the path of one on the host. One to build is named by `ref` or `branch` of a `remote`, with the text
        of a `patch` on top, built with `flags`; where just the same was measured already, that job is returned, unless
        `again`. `also_base` measures what it is based on, too, and `base_job` of the job names that one. `benchmarks`
        are names and groups, "-name" leaves one out, none means the suite's default; `affinity` is a list of CPUs like
        "2-3". `suite` is one of the lab's own; `same_loops` is the id of a result whose loop counts are taken.
        `upload` publishes the result, also where the lab does not by itself; what was measured before has its own
        upload(). Raises Invalid, with the field, for what the lab refuses.
        """
        spec = {
            "kind": None if kind == "benchmarks" else kind,
            "python": python,
            "benchmarks": [*benchmarks],
            "mode": mode,
            "affinity": affinity,
        }
        source = {"ref": ref, "remote": remote, "branch": branch, "patch": patch}
        lists = {"flags": [*flags] or None, "configure_args": [*configure_args] or None}
        asked = {"also_base": also_base, "again": again, "strict": strict, "upload": upload}
        switches = {name: True for name, on in asked.items() if on}
        where = {"run": run, "target": target, "host": host, "reason": reason, "suite": suite, "same_loops": same_loops}
        return self._added({**spec, **source, **lists, **switches, **where})

    def backfill(
        self,
        first: str,
        last: str,
        *,
        every: int = 1,
        weekly: bool = False,
        tags: str | None = None,
        dry_run: bool = False,
        **job: object,
    ) -> Backfilled:
        """Queue the commits after `first` up to `last` that were not measured yet, behind all other jobs.

        Of these every N-th, the last of each `weekly`, or those with a tag that matches `tags`, such as "v3.14.*".
        `job` are arguments of `add` but for the interpreter's; `dry_run` only counts.
        """
        given = {name: value for name, value in job.items() if value is not None}
        body = {"first": first, "last": last, "every": every, "weekly": weekly, "tags": tags, "dry_run": dry_run}
        return ask(Backfilled, self._link, "POST", "/backfills", {**body, "job": given})

    def remove(self, job_id: int) -> None:
        """Remove a job, see Job.remove()."""
        self._remove(job_id)
