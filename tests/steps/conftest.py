"""Rows and real result files for the tests of the steps' pure parts."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchyard.store.rows import Attempt, Job


@pytest.fixture
def make_job() -> Callable[..., Job]:
    """`make_job(affinity=..., mode=...)`: a job's row with this in its spec."""

    def make(**spec: Any) -> Job:
        whole = {"python": "/opt/p y/bin/python3", "benchmarks": ["nbody", "2to3"], "mode": "default", "affinity": None}
        empty = dict.fromkeys(Job.__struct_fields__)
        row = {
            **empty,
            "id": 7,
            "kind": "benchmarks",
            "target": "linux",
            "status": "running",
            "spec": {**whole, **spec},
        }
        return Job(**row)  # type: ignore[arg-type]

    return make


@pytest.fixture
def make_attempt() -> Callable[..., Attempt]:
    """`make_attempt(status=..., report=...)`: the second attempt at job 7."""

    def make(**given: Any) -> Attempt:
        values = {"host": "bench", "status": "running", "cause": None, "report": None, "started": 1.0, "finished": None}
        return Attempt(job_id=7, number=2, **{**values, **given})

    return make


@pytest.fixture(scope="session")
def real_file(real_results: Path) -> bytes:
    """One real result file, unpacked."""
    path = min(real_results.glob("bm-*/bm-*.json.gz"))
    return gzip.decompress(path.read_bytes())


@pytest.fixture
def report() -> dict[str, Any]:
    """The report of a run, as the runner leaves it."""
    return {
        "interpreter": {
            "id": "0123456789abcdef" * 4,
            "executable": "/opt/python3",
            "implementation": "cpython",
            "version": "3.16.0a0",
            "commit": "49918f5a0b1c2d3e4f5061728394a5b6c7d8e9f0",
            "branch": "main",
            "build_date": "2026-05-07",
            "flags": ["jit", "pgo"],
            "configure_args": "",
            "compiler": "GCC",
            "machine": "aarch64",
            "system": "linux",
        },
        "suite": "pyperformance",
        "suite_version": "1.14.0",
        "mode": "fast",
        "affinity": [1],
        "started": 1795345200.0,
        "finished": 1795345260.0,
        "environment_s": 1.0,
        "benchmarks": [
            {"name": "nbody", "status": "success", "seconds": 2.0, "error": None, "log_tail": ""},
            {"name": "2to3", "status": "failed", "seconds": 1.0, "error": "killed by signal 11", "log_tail": "boom"},
        ],
    }
