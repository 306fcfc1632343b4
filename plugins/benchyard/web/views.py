"""What the REST interface shows, one struct per kind: they make the JSON, and they are its schema.

Times are ISO 8601 in UTC. Users and hosts are known by their names, jobs and results by numbers, queues by targets.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

from benchyard.results.attachments import Attachment
from benchyard.results.compare import Change, Counts, GeometricMean, Group
from benchyard.results.overall import Reliability
from benchyard.store.rows import Attempt, Job, Result, Token, User

Time = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
T = TypeVar("T")

# Epoch seconds of the years 1 and 9999, each with a day to spare.
_FIRST, _LAST = -62_135_510_400.0, 253_402_214_400.0


def time_text(seconds: float | None) -> Time | None:
    """A time as ISO 8601 in UTC with milliseconds."""
    return None if seconds is None else known_time(seconds)


def known_time(seconds: float) -> Time:
    """The same for a time that has happened; what has no year of four figures does not keep a list from being shown."""
    return (
        datetime.fromtimestamp(min(max(seconds, _FIRST), _LAST), UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list, newest first; `next` is the cursor of the part that follows, if one does."""

    items: tuple[T, ...]
    next: str | None = None


class FailedBenchmark(msgspec.Struct, frozen=True):
    """A benchmark that gave no value, why, and the end of what it printed."""

    name: str
    error: str | None = None
    log_tail: str = ""


class ProgressView(msgspec.Struct, frozen=True):
    """Which benchmark of how many is running, since when."""

    index: int
    total: int
    benchmark: str
    since: Time


class AttemptView(msgspec.Struct, frozen=True):
    """One try at a job's measurement on one host."""

    number: int
    host: str | None
    status: str
    cause: str | None
    started: Time | None
    finished: Time | None


class SourceView(msgspec.Struct, frozen=True, kw_only=True):
    """What a job builds: `ref` as it was asked for, and the commit that it meant then.

    `merge_base` is the last commit shared with the branch it is meant for, `patch` the SHA-256 of the text on top.
    """

    remote: str
    url: str
    ref: str
    commit: str
    branch: str | None = None
    merge_base: str | None = None
    patch: str | None = None
    flags: tuple[str, ...] = ()
    configure_args: tuple[str, ...] = ()
    environ: dict[str, str] = {}


class SpecView(msgspec.Struct, frozen=True):
    """What a job does: `benchmarks` as resolved from the `selection` that was asked for.

    Its interpreter is installed on the host (`python`), or built from a `source`. One that looks after a host has
    neither: with `check` it only shows what would change, `before` is the check before it, and `after` is the job whose
    outcome it looks at.
    """

    python: str
    benchmarks: tuple[str, ...]
    selection: tuple[str, ...]
    mode: str
    affinity: str | None = None
    source: SourceView | None = None
    suite: str = ""
    suite_version: str = ""
    same_loops: int | None = None
    strict: bool = False
    upload: bool = False
    check: bool = False
    reboot: bool = False
    before: int | None = None
    after: int | None = None


class JobView(msgspec.Struct, frozen=True):
    """A job; `error` says why it failed, `url` is its page in Buildbot.

    `interpreter` is the id of the one that was built for it, `base_job` the job that its result is compared with.
    `summary` is what came of a job that looks after a host, in one line.
    """

    id: int
    kind: str
    target: str
    host: str | None
    status: str
    enabled: bool
    owner: str
    origin: str
    reason: str
    spec: SpecView
    error: str | None
    progress: ProgressView | None
    attempts: tuple[AttemptView, ...]
    results: tuple[int, ...]
    failed_benchmarks: tuple[FailedBenchmark, ...]
    interpreter: str | None
    base_job: int | None
    url: str | None
    created: Time
    queued: Time | None
    started: Time | None
    finished: Time | None
    changed: Time
    changed_by: str
    summary: str | None = None


def job_view(job: Job, attempts: tuple[Attempt, ...], results: tuple[int, ...], lab_url: str) -> JobView:
    """A job with its attempts and the ids of its results."""
    progress = None
    if job.progress:
        progress = ProgressView(**{**job.progress, "since": known_time(job.progress["since"])})
    prepared = job.prepared or {}
    failed = (*prepared.get("left_out", ()), *(attempts[-1].failed_benchmarks if attempts else ()))
    return JobView(
        id=job.id,
        kind=job.kind,
        target=job.target,
        host=job.host,
        status=job.status,
        enabled=job.enabled,
        owner=job.owner,
        origin=job.origin,
        reason=job.reason,
        spec=msgspec.convert(job.spec, SpecView),
        error=job.error,
        progress=progress,
        attempts=tuple(_attempt_view(attempt) for attempt in attempts),
        results=results,
        failed_benchmarks=tuple(FailedBenchmark(**benchmark) for benchmark in failed),
        interpreter=prepared.get("interpreter"),
        base_job=job.base_job,
        url=f"{lab_url}#/buildrequests/{job.request_id}" if job.request_id else None,
        created=known_time(job.created),
        queued=time_text(job.queued),
        started=time_text(job.started),
        finished=time_text(job.finished),
        changed=known_time(job.changed),
        changed_by=job.changed_by,
        summary=prepared.get("summary"),
    )


def _attempt_view(attempt: Attempt) -> AttemptView:
    return AttemptView(
        number=attempt.number,
        host=attempt.host,
        status=attempt.status,
        cause=attempt.cause,
        started=time_text(attempt.started),
        finished=time_text(attempt.finished),
    )


class ResultView(msgspec.Struct, frozen=True):
    """A result's row of the index; one without a file yet has no `path`.

    `grade` is A, B or C, and `grade_reasons` why it is no better; `epoch` is the stretch of its host's history with
    the same CPU, kernel, governor and so on. `fingerprint` are the conditions it was measured under, not in lists.
    `missing` is since when its file is gone from the results folder; it is disabled until that is there again.
    """

    id: int
    job: int | None
    attempt: int | None
    status: Literal["stored", "trashed"]
    enabled: bool
    owner: str | None
    host: str | None
    target: str | None
    interpreter: dict[str, Any] | None
    commit: str | None
    branch: str | None
    version: str | None
    flags: tuple[str, ...]
    suite: str | None
    suite_version: str | None
    mode: str | None
    note: str | None
    benchmarks: int
    failed: tuple[FailedBenchmark, ...]
    path: str | None
    sha256: str | None
    size: int | None
    created: Time
    changed: Time
    changed_by: str
    kind: str
    grade: Literal["A", "B", "C"] | None
    grade_reasons: tuple[str, ...]
    epoch: int | None
    fingerprint_id: str | None
    fingerprint: dict[str, Any] | None
    missing: Time | None = None


def result_view(result: Result, *, listed: bool = False) -> ResultView:
    """A result's row, without the logs of what failed."""
    shared = {name: getattr(result, name) for name in ResultView.__struct_fields__ if hasattr(result, name)}
    return ResultView(
        **{
            **shared,
            "job": result.job_id,
            "benchmarks": result.benchmarks or 0,
            "flags": tuple(result.flags or ()),
            "failed": tuple(FailedBenchmark(b["name"], b.get("error")) for b in result.failed),
            "created": known_time(result.created),
            "changed": known_time(result.changed),
            "fingerprint": None if listed else result.fingerprint,
            "missing": time_text(result.missing),
        }
    )


class AttachmentView(msgspec.Struct, frozen=True):
    """A file that belongs to a result; `sha256` in hex, `size` in bytes."""

    name: str
    content_type: str
    size: int
    sha256: str


def attachment_view(attachment: Attachment) -> AttachmentView:
    """A file that belongs to a result."""
    return AttachmentView(attachment.name, attachment.content_type, attachment.size, attachment.sha256)


class UserView(msgspec.Struct, frozen=True):
    """A user; one that was removed stays as the owner of their jobs. An empty mail address is none."""

    id: str
    name: str
    role: Literal["viewer", "member", "admin"]
    status: Literal["active", "removed"]
    enabled: bool
    created: Time
    changed: Time
    changed_by: str
    mail: str


def user_view(user: User) -> UserView:
    """A user without any secret."""
    return UserView(
        id=user.name,
        name=user.name,
        role=user.role,  # type: ignore[arg-type]
        status=user.status,  # type: ignore[arg-type]
        enabled=user.enabled,
        created=known_time(user.created),
        changed=known_time(user.changed),
        changed_by=user.changed_by,
        mail=user.mail or "",
    )


class TokenView(msgspec.Struct, frozen=True):
    """A token; `token` itself is shown once, in the answer that made it."""

    id: int
    name: str
    created: Time
    expires: Time | None
    revoked: Time | None
    read_only: bool
    token: str | None = None


def token_view(token: Token, secret: str | None = None) -> TokenView:
    """A token of a user's."""
    return TokenView(
        id=token.id,
        name=token.name,
        created=known_time(token.created),
        expires=time_text(token.expires),
        revoked=time_text(token.revoked),
        read_only=token.read_only,
        token=secret,
    )


class SecretView(msgspec.Struct, frozen=True):
    """A secret, shown once."""

    secret: str


class StartView(msgspec.Struct, frozen=True):
    """When a job may be expected to start, by how long such jobs took before; `latest` is null where nobody knows."""

    earliest: Time
    latest: Time | None


class QueuedJob(msgspec.Struct, frozen=True):
    """A job in a queue, why it is not running, and when it may; null for one that cannot start as things are."""

    position: int
    job: int
    status: str
    owner: str
    reason: str
    why: str
    expected: StartView | None


class QueueView(msgspec.Struct, frozen=True):
    """A target's queue in the order in which its jobs will start; `version` changes with order and pause."""

    target: str
    paused: bool
    paused_by: str | None
    paused_at: Time | None
    reason: str | None
    version: int
    length: int
    jobs: tuple[QueuedJob, ...]
    next: str | None = None


class HostHealth(msgspec.Struct, frozen=True):
    """Whether a host is connected."""

    name: str
    role: str
    connected: bool


class StaleLane(msgspec.Struct, frozen=True):
    """A target, schedule or branch of which nothing has come for too long, in words, and since when."""

    text: str
    target: str | None
    since: Time


class HealthView(msgspec.Struct, frozen=True, omit_defaults=True):
    """The lab's health; who may not read is told no more than the first three."""

    status: Literal["ok", "degraded"]
    title: str
    version: str
    user: str | None = None
    targets: tuple[str, ...] = ()
    hosts: tuple[HostHealth, ...] = ()
    jobs: dict[str, int] = {}
    uploads: dict[str, int] = {}
    stale: tuple[StaleLane, ...] = ()


class ComparisonView(msgspec.Struct, frozen=True):
    """A base against a head: results, or interpreters of which several results were taken together.

    `base` and `head` are the newest of these, `base_results` and `head_results` the numbers of all; a file that is not
    in the lab has the number 0, and its name for a `path`. `more` has the same base against the further heads.
    """

    base: ResultView
    head: ResultView
    benchmarks: tuple[Change, ...]
    missing: tuple[str, ...]
    new: tuple[str, ...]
    incomparable: tuple[str, ...]
    geometric_mean: GeometricMean | None
    reliability: Reliability | None
    counts: Counts
    groups: tuple[Group, ...]
    memory: GeometricMean | None
    differences: tuple[str, ...]
    marks: tuple[str, ...]
    assumed_noise: float | None
    base_results: tuple[int, ...] = ()
    head_results: tuple[int, ...] = ()
    more: tuple["ComparisonView", ...] = ()


class MatrixCell(msgspec.Struct, frozen=True):
    """One side against another, by their places in `sides`; `ratio` over 1 means that the head is the faster.

    It is None where nothing counts, because of `differences` or as there is nothing in common. `faster` is the
    reliability of that.
    """

    base: int
    head: int
    ratio: float | None
    change: str
    n: int
    of: int
    faster: float | None
    counts: Counts
    differences: tuple[str, ...]


class MatrixView(msgspec.Struct, frozen=True):
    """Many against many: each base with each head that is another."""

    sides: tuple[ResultView, ...]
    cells: tuple[MatrixCell, ...]
