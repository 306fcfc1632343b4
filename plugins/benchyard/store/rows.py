"""What leaves the datastore: one frozen struct per table, named by the glossary.

Times are epoch seconds in UTC. A `None` time means that it has not happened.
"""

from typing import Any

import msgspec

JOB_STATUSES = (
    "created",
    "queued",
    "building",
    "ready",
    "running",
    "storing",
    "success",
    "failed",
    "canceled",
    "lost",
)
FINAL_JOB_STATUSES = frozenset({"success", "failed", "canceled", "lost"})

ATTEMPT_STATUSES = ("pending", "running", "success", "failed", "canceled", "timeout", "lost", "interrupted")
FINAL_ATTEMPT_STATUSES = frozenset(ATTEMPT_STATUSES) - {"pending", "running"}

QUEUED_JOB_STATUSES = frozenset({"queued", "building", "ready"})
"""The jobs with one of these are their target's queue."""

BENCHMARKS, CALIBRATE = "benchmarks", "calibrate"
"""Kinds of jobs that the store tells apart: what people measure, and what the lab measures to know its hosts."""

CONFIGURE, UPDATE, CHECK = "configure", "update", "check"
MAINTENANCE = (CONFIGURE, UPDATE, CHECK)
"""Kinds of jobs that look after a host instead of measuring on it."""

RESULT_STATUSES = ("stored", "trashed")
USER_STATUSES = ("active", "removed")
REGRESSION_STATUSES = ("new", "confirmed", "known", "fixed")
ROLES = ("viewer", "member", "admin")

NOTICE_KINDS = ("job_done", "regression", "host_quarantined", "lane_stale", "upload_refused")
"""What people are told of."""

TELLING_OUTCOMES = ("told", "nobody", "failed")
"""What became of a notice at a notifier: it was taken, there was nobody to tell, or it can never be told."""

PUBLISH, WITHDRAW = "publish", "withdraw"
"""What is asked of a destination: to show a result, or to show it no more."""

UPLOAD_STATES = ("pending", "sent", "refused", "failed")


class User(msgspec.Struct, frozen=True):
    """A person who may log in; `password_hash` is None for one who has tokens only, `mail` for one who gets none."""

    id: int
    name: str
    password_hash: str | None
    role: str
    status: str
    enabled: bool
    created: float
    changed: float
    changed_by: str
    mail: str | None = None


class Token(msgspec.Struct, frozen=True):
    """A secret of a user's for programs; the store knows its hash only, and does not hand it out."""

    id: int
    user_id: int
    name: str
    created: float
    expires: float | None
    revoked: float | None
    read_only: bool


class Host(msgspec.Struct, frozen=True):
    """The state of a host; what Buildbot must know of it is in the lab directory, not here.

    `quarantined` is when the lab itself has disabled it; of one that was let out again, calibrations from `band_since`
    on say what is usual for it. `seen` is when its worker was last known to be connected.

    While it is leased, somebody works on it. `maintained` is the job that changes the host now, `broken_by` the one
    that has changed it halfway and so has disabled it. `fitness` is what the last check has found.
    """

    name: str
    enabled: bool
    reason: str
    created: float
    changed: float
    changed_by: str
    quarantined: float | None = None
    band_since: float | None = None
    seen: float | None = None
    leased_until: float | None = None
    leased_by: str | None = None
    lease_reason: str | None = None
    maintained: int | None = None
    broken_by: int | None = None
    fitness: dict[str, Any] | None = None

    def is_leased(self, now: float) -> bool:
        """Whether somebody works on the host, so that the queue keeps off it."""
        return self.leased_until is not None and self.leased_until > now

    def may_measure(self, now: float) -> bool:
        """Whether the host is given jobs."""
        return self.enabled and self.maintained is None and not self.is_leased(now)


class Job(msgspec.Struct, frozen=True):
    """One request to measure; `request_id` is Buildbot's, and another one after each push."""

    id: int
    kind: str
    target: str
    host: str | None
    status: str
    enabled: bool
    spec: dict[str, Any]
    owner: str
    origin: str
    reason: str
    error: str | None
    request_id: int | None
    pushes: int
    progress: dict[str, Any] | None
    cancel_by: str | None
    created: float
    changed: float
    changed_by: str
    queued: float | None
    started: float | None
    finished: float | None
    place: int | None = None
    """What orders the target's queue; None off it. People are shown positions, never places."""
    shape: str | None = None
    """What jobs that take about as long have in common (`store.durations`)."""
    base_job: int | None = None
    """The job whose result this one's is compared with."""
    identity: str | None = None
    """What jobs that measure just the same have in common; None where the interpreter is not the lab's own."""
    prepared: dict[str, Any] | None = None
    """What the prepare stage has made for the measurement: `interpreter`, `wheels`, and what it has `left_out`."""

    @property
    def is_final(self) -> bool:
        """Whether the status can change no more."""
        return self.status in FINAL_JOB_STATUSES


class Attempt(msgspec.Struct, frozen=True):
    """One try at a job's measurement on one host; `host` is None until it is placed."""

    job_id: int
    number: int
    host: str | None
    status: str
    cause: str | None
    report: dict[str, Any] | None
    started: float | None
    finished: float | None

    @property
    def run(self) -> str:
        """The name the host knows it by: JOB.ATTEMPT."""
        return f"{self.job_id}.{self.number}"

    @property
    def failed_benchmarks(self) -> tuple[dict[str, Any], ...]:
        """Name, error and end of the log of each benchmark that the run's report says has failed."""
        return tuple(
            {"name": b["name"], "error": b.get("error"), "log_tail": b.get("log_tail", "")}
            for b in (self.report or {}).get("benchmarks", ())
            if b.get("status") != "success"
        )

    @property
    def is_final(self) -> bool:
        """Whether the attempt has ended."""
        return self.status in FINAL_ATTEMPT_STATUSES


class Result(msgspec.Struct, frozen=True):
    """The index row of one result; `path` is relative to the results directory, `size` in bytes.

    Measured ones have a job and an attempt. Added ones have neither, and until their file is there no `path`,
    nor anything that is read from it.

    `kind` is that of the job. `grade` says how far it can be trusted and `grade_reasons` why no further; `fingerprint`
    is under which conditions it was measured, with its id, and `epoch` the number of the host's stretch of conditions
    that it is in. These are None for what was measured before the lab knew them, and `epoch` for what was added.

    `missing` is since when the file of one that would count is known to be gone: it is disabled for as long.
    """

    id: int
    job_id: int | None
    attempt: int | None
    status: str
    enabled: bool
    host: str
    target: str | None
    interpreter: dict[str, Any] | None
    commit: str | None
    branch: str | None
    version: str | None
    flags: tuple[str, ...]
    suite: str | None
    suite_version: str | None
    mode: str | None
    path: str | None
    sha256: str | None
    size: int | None
    benchmarks: int
    failed: tuple[dict[str, Any], ...]
    created: float
    changed: float
    changed_by: str
    owner: str = ""
    note: str = ""
    trashed: float | None = None
    kind: str = BENCHMARKS
    grade: str | None = None
    grade_reasons: tuple[str, ...] = ()
    fingerprint: dict[str, Any] | None = None
    fingerprint_id: str | None = None
    epoch: int | None = None
    missing: float | None = None

    @property
    def foreign_print(self) -> str | None:
        """The id of a fingerprint that another tool has given; what the lab's own says is told by the epoch."""
        return self.fingerprint_id if self.fingerprint is None else None


class Measurement(msgspec.Struct, frozen=True):
    """What one benchmark gave in one result: its values reduced, in `unit`; `n` is their number.

    `stdev` is None for a single value, `mad` the median of what the values are off their `median`. `memory` is the most
    that one of its processes had, in bytes, `version` the benchmark's own; None and empty where the file does not say.
    """

    result_id: int
    benchmark: str
    unit: str
    n: int
    mean: float
    stdev: float | None
    median: float
    mad: float
    minimum: float
    maximum: float
    memory: float | None
    version: str


class Epoch(msgspec.Struct, frozen=True):
    """A stretch of a host's history in which its part of the fingerprint is one, numbered from 1.

    `host_fingerprint` is the id of that part, `since` when the run of the first result began, `result_id` that result.
    """

    host: str
    number: int
    host_fingerprint: str
    fingerprint: dict[str, Any]
    since: float
    result_id: int


class Calibration(msgspec.Struct, frozen=True):
    """The means of one calibration result and their units, by benchmark.

    Those of one `series` have measured the same: an interpreter with the benchmarks of a suite, in one mode.
    """

    result_id: int
    host: str
    epoch: int
    series: str
    made: float
    means: dict[str, tuple[float, str]]


class Noise(msgspec.Struct, frozen=True):
    """How far two runs of one interpreter differ on a host, relative, as learned from so many `runs`.

    `center` is the median of their means, in `unit`.
    """

    host: str
    epoch: int
    benchmark: str
    floor: float
    runs: int
    center: float
    unit: str
    updated: float


class Regression(msgspec.Struct, frozen=True):
    """A level of a series that has changed, for the worse or, where it is not `worse`, for the better.

    The series is that of a `benchmark` (of the geometric mean of all where that is empty) of one lane, in one `epoch`
    and with one `version` of the benchmark. The level was `before` up to `commit_before`, with `result_before`, and
    `after` from `commit` on, with `result_id`; `step` is after over before less 1, `sure` how sure it is, of 1.

    `found_by` is the result by which it was found: `new`; `confirmed_by` a later one that says the same. Somebody may
    say that it is `known`. It is `fixed` by the commit `fixed_by`, or because somebody says so.
    """

    id: int
    key: str
    host: str
    flags: tuple[str, ...]
    branch: str
    implementation: str
    suite: str
    suite_version: str
    mode: str
    epoch: int | None
    benchmark: str
    version: str
    unit: str
    commit: str
    commit_before: str
    result_id: int
    result_before: int
    found_by: int
    before: float
    after: float
    step: float
    sure: float
    worse: bool
    status: str
    confirmed_by: int | None
    fixed_by: str | None
    owner: str | None
    comment: str
    created: float
    changed: float
    changed_by: str


class BuiltInterpreter(msgspec.Struct, frozen=True):
    """An interpreter that the lab has built; `size` are the bytes of its archive.

    `recipe` and `toolchain` are the hashes of what it was built from and with; `sha256` is empty where the archive is
    gone.
    `smoke` has by suite the id of the `wheels` it was done with, and by name None for `benchmarks` that ran.
    """

    id: str
    target: str
    recipe: str
    toolchain: str
    record: dict[str, Any]
    sha256: str
    size: int
    smoke: dict[str, dict[str, Any]]
    job_id: int | None
    made: float
    used: float


class Queue(msgspec.Struct, frozen=True):
    """The state of a target's queue; `version` counts the changes of its order and of its pause."""

    target: str
    paused: bool
    paused_by: str | None
    paused_at: float | None
    reason: str
    version: int


class Upload(msgspec.Struct, frozen=True):
    """What is to be, or was, done with a result at a destination: one row for each pair, in the state of the last ask.

    `action` is `publish` or `withdraw`. `words` are the destination's last, in one line, and `link` is where it shows
    the result. Those of one `slot` take each other's place there. `asks` counts how often it was asked for, `attempts`
    the tries since the last ask, at `asked` by `asked_by`. It is tried next at `next_try`, and given up after trouble
    up to `deadline`. `begun` is since when something of the result may be there, `sent` since when it is known to be.
    """

    id: int
    result_id: int
    destination: str
    action: str
    state: str
    words: str
    link: str | None
    slot: str
    asks: int
    attempts: int
    asked: float
    asked_by: str
    next_try: float
    deadline: float
    begun: float | None
    sent: float | None
    changed: float

    @property
    def key(self) -> str:
        """What the repetitions of one ask have in common, and no other ask has."""
        return f"{self.id}.{self.asks}"


class Sender(msgspec.Struct, frozen=True):
    """Who sends to a destination up to when, and what it said last, at `answered`; nobody does without a `holder`."""

    destination: str
    holder: str
    until: float
    words: str
    answered: float | None


class Answer(msgspec.Struct, frozen=True):
    """What a request with an idempotency key was answered; status 0 where there is no answer yet."""

    user: str
    key: str
    fingerprint: str
    status: int
    body: str
    created: float


class Notice(msgspec.Struct, frozen=True):
    """Something that people are told, once: the same `key` is the same fact.

    `users` are those whom it is for, `data` the same as subject and body in numbers.
    """

    id: int
    key: str
    kind: str
    time: float
    target: str | None
    subject: str
    body: str
    users: tuple[str, ...]
    data: dict[str, Any]


class Telling(msgspec.Struct, frozen=True):
    """What became of a notice at a notifier, in the `words` of the other side."""

    notice_id: int
    notifier: str
    time: float
    outcome: str
    words: str


class Notifier(msgspec.Struct, frozen=True):
    """A way to tell people that the lab has `since` then, and who tells by it up to when; nobody without a `holder`."""

    name: str
    since: float
    holder: str
    until: float


class Watch(msgspec.Struct, frozen=True):
    """Something that is looked at again and again, `since` then, and up to where it was looked at."""

    name: str
    since: float
    position: int


class Change(msgspec.Struct, frozen=True):
    """One line of an entity's history: what `who` changed at `time`."""

    id: int
    entity: str
    entity_id: str
    time: float
    who: str
    change: dict[str, Any]
