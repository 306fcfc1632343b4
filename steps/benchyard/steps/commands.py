"""Command lines of runs, made of a job's row; pure."""

import posixpath
from typing import NamedTuple

from benchyard.store.rows import Attempt, Job

#: Options of `benchyard task run-benchmarks` by a job's mode.
MODE_OPTIONS = {"default": (), "fast": ("--fast",), "rigorous": ("--rigorous",)}


class MeasuringArguments(NamedTuple):
    """Arguments after `task attach RUN` and after `task run-benchmarks`."""

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
    """Where the interpreter's commit is from, for who reads the file alone: it cannot know that itself."""
    source = job.spec.get("source") or {}
    facts = {
        "commit_branch": source.get("branch"),
        "benchyard_remote": source.get("remote"),
        "benchyard_ref": source.get("ref"),
        "benchyard_merge_base": source.get("merge_base"),
    }
    return tuple(part for key, value in facts.items() if value for part in ("--metadata", f"{key}={value}"))


def suite_options(job: Job, state: str) -> tuple[str, ...]:
    """Which suite's benchmarks are run, unless it is the one that is installed on all hosts."""
    id = job.spec.get("suite_id")
    return ("--suite", posixpath.join(state, "suites", id)) if id else ()


def loops_options(job: Job) -> tuple[str, ...]:
    """The loop counts of the result that the job is to have the same as."""
    loops = job.spec.get("loops") or {}
    return ("--loops", ",".join(f"{name}={count}" for name, count in sorted(loops.items()))) if loops else ()


def benchmarks_of(job: Job) -> tuple[str, ...]:
    """What is measured of a job's benchmarks: all but those that do not run."""
    left_out = {one["name"] for one in (job.prepared or {}).get("left_out", ())}
    return tuple(name for name in job.spec["benchmarks"] if name not in left_out)


def measuring_arguments(
    job: Job, attempt: Attempt, *, state: str, host_cpus: str, limit_s: float
) -> MeasuringArguments:
    """How a job's attempt is run on a host that keeps its state in `state`.

    The job's own affinity goes before the host's measuring CPUs. The mark BENCHYARD_RUN is handed down, so that a
    process that outlives its supervisor is still known as this run's.
    """
    folder = posixpath.join(state, "runs", attempt.run)
    cpus = job.spec.get("affinity") or host_cpus
    pinning = ("--cpus", cpus) if cpus else ()
    affinity = ("--affinity", cpus) if cpus else ()
    return MeasuringArguments(
        options=("--state", state, "--limit", f"{limit_s:.0f}", *pinning),
        run=(
            *interpreter_options(job, state),
            *source_options(job),
            *suite_options(job, state),
            "--benchmarks",
            ",".join(benchmarks_of(job)),
            *MODE_OPTIONS[job.spec["mode"]],
            *loops_options(job),
            *affinity,
            "--output",
            posixpath.join(folder, "result.json"),
            "--report",
            posixpath.join(folder, "report.json"),
            "--environments",
            posixpath.join(state, "environments"),
            "--inherit-environ",
            "BENCHYARD_RUN",
        ),
    )
