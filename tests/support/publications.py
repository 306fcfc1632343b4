"""Results as the lab publishes them, made of pyperf files."""

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
from githubserver import GitHub

from benchyard.publish.destinations import Measured, Publication
from benchyard.results.layout import ResultName, read_name
from benchyard.results.reading import read_suite
from benchyard.store.rows import Result

LAB_URL = "http://lab.example:8010/"

#: What a result of a pull request says of its interpreter's source.
UPSTREAM = {"url": "https://github.com/anna/cpython.git", "ref": "refs/pull/12/head"}


def file_of(benchmarks: Mapping[str, Sequence[float]], unit: str = "second", **metadata: Any) -> bytes:
    """A pyperf file of benchmarks with these values."""
    return json.dumps(
        {
            "version": "1.0",
            "metadata": metadata,
            "benchmarks": [
                {"metadata": {"name": name, "unit": unit}, "runs": [{"values": list(values)}]}
                for name, values in benchmarks.items()
            ],
        }
    ).encode()


def path_of(number: int = 1, host: str = "bench1", flags: str = "") -> str:
    """A path in bench_runner's layout; another commit for each number, a day later."""
    day, commit = f"2026{number // 28 + 1:02}{number % 28 + 1:02}", f"{number:07x}"
    folder = f"bm-{day}-3.16.0a0-{commit}" + (f"-{flags}" if flags else "")
    return f"{folder}/bm-{day}-{host}-x86_64-python-main-3.16.0a0-{commit}.json"


def measured(data: bytes, path: str, /, **columns: Any) -> Measured:
    """A result of a file that the lab has under a path, with the row that belongs to it."""
    name = _named(path)
    row: dict[str, Any] = {
        "id": 1,
        "job_id": None,
        "attempt": None,
        "status": "stored",
        "enabled": True,
        "host": name.nickname,
        "target": f"linux-{name.machine}",
        "interpreter": {},
        "commit": name.commit.ljust(40, "0"),
        "branch": name.ref,
        "version": name.version,
        "flags": tuple(flag.lower() for flag in name.flags),
        "suite": "pyperformance",
        "suite_version": "1.14.0",
        "mode": "default",
        "path": path,
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "benchmarks": len(read_suite(data).benchmarks),
        "failed": (),
        "grade": "B",
        "grade_reasons": ("a virtual machine",),
        "created": 1.0,
        "changed": 1.0,
        "changed_by": "anna",
    }
    return Measured(msgspec.convert({**row, **columns}, Result), data)


def publication(head: Measured, base: Measured | None = None, **more: Any) -> Publication:
    """What is sent of a result."""
    return Publication(head=head, base=base, link=f"{LAB_URL}#/buildrequests/{head.result.id}", **more)


def small(number: int = 1, *, host: str = "bench1", mean: float = 0.1, **columns: Any) -> Measured:
    """A small result, the only one of its number and host; its grade is in the file as well."""
    values = [mean + number * 1e-6 + step * mean / 1000 for step in range(5)]
    data = file_of({"nbody": values, "json_loads": values[::-1]}, benchyard_grade="B", commit_id=f"{number:07x}")
    return measured(data, path_of(number, host), **{"id": number, **columns})


def real(path: Path, number: int) -> Measured:
    """A real result file, as if the lab had it under its own name."""
    data = gzip.decompress(path.read_bytes())
    return measured(data, f"{path.parent.name}/{path.name.removesuffix('.gz')}", id=number)


def pulled(github: GitHub, number: int = 1, base: int | None = 99, **columns: Any) -> Publication:
    """A result of pull request 12, compared with a base; GitHub knows its commit."""
    head = small(number, interpreter=UPSTREAM, branch=None, **columns)
    github.commits.add(str(head.result.commit))
    return publication(head, small(base, mean=0.2) if base is not None else None)


def _named(path: str) -> ResultName:
    name = read_name(PurePosixPath(path))
    assert name is not None, path
    return name
