"""Command lines of runs, made of a job's row; pure."""

import posixpath
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from benchyard.steps.kinds import Kind
from benchyard.steps.kinds.kind import Parts
from benchyard.store.rows import Attempt, Job

#: Options of `benchyard task run-benchmarks` by a job's mode.
MODE_OPTIONS = {"default": (), "fast": ("--fast",), "rigorous": ("--rigorous",)}


#: How often a run goes on where it was, after something has killed it.
RESTARTS = "5"


class HostCare(NamedTuple):
    """How a host is looked after when it measures: its CPUs ("" for any), what is set on it, what the guard does."""

    cpus: str = ""
    tune: bool = True
    shield: bool = True
    guard: str = "warn"
    guard_wait_s: float = 60.0


class MeasuringArguments(NamedTuple):
    """Arguments after `task attach RUN`, and after `task COMMAND` of the job's kind."""

    options: tuple[str, ...]
    run: tuple[str, ...]


def interpreter_options(job: Job, state: str) -> tuple[str, ...]:
    """Which interpreter is measured: one of the host's own, or one that the lab has built and brought there."""
    if job.spec.get("source") is None:
        return ("--python", job.spec["python"])
    prepared = job.prepared or {}
    wheels = ("--wheels", posixpath.join(state, "wheels", prepared["wheels"])) if prepared.get("wheels") else ()
    return ("--build", prepared["interpreter"], "--interpreters", posixpath.join(state, "interpreters"), *wheels)


def source_options(job: Job) -> tuple[str, ...]:
    """Where the interpreter's commit is from, for who reads the file alone: it cannot know that itself.

    The keys without our prefix are bench_runner's, which sorts by the date and finds what to compare with by the base.
    """
    source = job.spec.get("source") or {}
    facts = {
        "commit_branch": source.get("branch"),
        "commit_date": commit_date(source),
        "commit_merge_base": source.get("merge_base"),
        "benchyard_remote": source.get("remote"),
        "benchyard_ref": source.get("ref"),
        "benchyard_merge_base": source.get("merge_base"),
    }
    return tuple(part for key, value in facts.items() if value for part in ("--metadata", f"{key}={value}"))


def commit_date(source: Mapping[str, Any]) -> str | None:
    """When a source's commit was made, as an ISO time; None where that is not known."""
    time = source.get("time")
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds") if time else None


def suite_options(job: Job, state: str) -> tuple[str, ...]:
    """Which suite's benchmarks are run, unless it is the one that is installed on all hosts."""
    id = job.spec.get("suite_id")
    return ("--suite", posixpath.join(state, "suites", id)) if id else ()


def loops_options(job: Job) -> tuple[str, ...]:
    """The loop counts of the result that the job is to have the same as."""
    loops = job.spec.get("loops") or {}
    return ("--loops", ",".join(f"{name}={count}" for name, count in sorted(loops.items()))) if loops else ()


def limits_options(job: Job, limits: Mapping[str, float]) -> tuple[str, ...]:
    """After how long each of the job's benchmarks is taken for hung, where that is known."""
    known = {name: limits[name] for name in benchmarks_of(job) if name in limits}
    return ("--limits", ",".join(f"{name}={seconds:.0f}" for name, seconds in sorted(known.items()))) if known else ()


def benchmarks_of(job: Job) -> tuple[str, ...]:
    """What is measured of a job's benchmarks: all but those that do not run."""
    left_out = {one["name"] for one in (job.prepared or {}).get("left_out", ())}
    return tuple(name for name in job.spec["benchmarks"] if name not in left_out)


def measuring_arguments(
    job: Job,
    attempt: Attempt,
    kind: Kind,
    *,
    state: str,
    care: HostCare,
    limit_s: float,
    limits: Mapping[str, float] = {},
    seen: int = 0,
) -> MeasuringArguments:
    """How a job's attempt is run on a host that keeps its state in `state`.

    `limits` are seconds by benchmark, `seen` lines of the run's log are known from who attached to it before. The job's
    own affinity goes before the host's measuring CPUs; without either, the host finds some. The mark BENCHYARD_RUN is
    handed down, so that a process that outlives its supervisor is still known as this run's.
    """
    folder = posixpath.join(state, "runs", attempt.run)
    measuring = job.spec.get("affinity") or care.cpus or "auto"
    tuned, shielded = care.tune and kind.tune, care.shield and kind.shield
    left = (*(() if tuned else ("--no-tune",)), *(() if shielded else ("--no-shield",)))
    ready = ("--restarts", RESTARTS, "--measuring", measuring, *left)
    parts = Parts(
        what=(
            *interpreter_options(job, state),
            *suite_options(job, state),
            "--benchmarks",
            ",".join(benchmarks_of(job)),
            *MODE_OPTIONS[job.spec["mode"]],
        ),
        facts=source_options(job),
        loops=loops_options(job),
        limits=limits_options(job, limits),
        guard=(
            "--guard",
            care.guard if kind.guarded else "off",
            "--guard-wait",
            f"{care.guard_wait_s:g}",
        ),
        folder=folder,
        report=("--report", posixpath.join(folder, "report.json")),
        cache=("--environments", posixpath.join(state, "environments"), "--inherit-environ", "BENCHYARD_RUN"),
    )
    return MeasuringArguments(
        options=("--state", state, "--limit", f"{limit_s:.0f}", "--seen", str(seen), *ready),
        run=kind.arguments(parts),
    )
