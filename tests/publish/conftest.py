"""A datastore with results and their files, and destinations that are real webhooks on this machine."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from receiver import Receiver, receiving

from benchyard.publish.destinations import Site
from benchyard.publish.outbox import Place
from benchyard.publish.settings import Webhook
from benchyard.publish.webhook import make
from benchyard.results.files import store_file
from benchyard.results.layout import path_of_run
from benchyard.store import jobs, results
from benchyard.store.migrate import migrate
from benchyard.store.rows import Job, Result
from benchyard.store.transactions import in_transaction

URL = "http://lab.example:8010/"

MakeResult = Callable[..., Result]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that takes all that is sent to it, unless told otherwise."""
    with receiving() as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sa.Engine]:
    """A datastore with our tables; nothing here is about a machine that loses its power."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/state.sqlite")
    sa.event.listen(engine, "connect", lambda dbapi, _record: dbapi.execute("PRAGMA synchronous = OFF"))
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def db(store: sa.Engine) -> Callable[..., Any]:
    """`await db(function, ...)`: a function of the store in a transaction, as a master's services call it."""

    async def run(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with store.connect() as conn:
            value, error = in_transaction(conn, function, args, kwargs)
        if error is not None:
            raise error
        return value

    return run


@pytest.fixture
def results_dir(tmp_path: Path) -> Path:
    """The lab's folder of results."""
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


@pytest.fixture
def secrets_dir(tmp_path: Path) -> Path:
    """The lab's folder of secrets."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    return folder


@pytest.fixture
def pyperf_file() -> Callable[..., bytes]:
    """`pyperf_file(nbody=[0.1, 0.2])`: a small file that pyperf takes for its own, with these values in seconds."""

    def make_file(**benchmarks: list[float]) -> bytes:
        made = [
            {"metadata": {"name": name}, "runs": [{"values": values}]}
            for name, values in (benchmarks or {"nbody": [0.1, 0.11, 0.12]}).items()
        ]
        return json.dumps({"version": "1.0", "metadata": {"unit": "second"}, "benchmarks": made}).encode()

    return make_file


@pytest.fixture
def make_job(store: sa.Engine) -> Callable[..., Job]:
    """`make_job(status=..., base_job=...)`: a job that builds and measures the same each time."""

    def make_row(**given: Any) -> Job:
        columns: dict[str, Any] = {
            "who": "ada",
            "kind": "benchmarks",
            "target": "linux-x86_64",
            "host": None,
            "spec": {"python": "/opt/python3", "benchmarks": ["nbody"]},
            "owner": "ada",
            "origin": "rest",
            "reason": "",
            "status": "success",
        }
        with store.begin() as conn:
            return jobs.create_job(conn, now=1.0, **{**columns, **given})

    return make_row


@pytest.fixture
def make_result(
    store: sa.Engine, results_dir: Path, pyperf_file: Callable[..., bytes], make_job: Callable[..., Job]
) -> MakeResult:
    """`make_result(grade=..., values=...)`: a measured result with its file."""

    def make_row(*, job: Job | None = None, values: dict[str, list[float]] | None = None, **given: Any) -> Result:
        job = job or make_job()
        interpreter = {
            "id": "ab" * 32,
            "version": "3.15.0",
            "commit": "c0ffee" * 6 + "beef",
            "branch": "main",
            "machine": "x86_64",
            "flags": ["lto", "pgo"],
            "remote": "upstream",
            "build_date": "2026-05-07",
            **given.pop("interpreter", {}),
        }
        data = pyperf_file(**(values or {}))
        stored = store_file(results_dir, path_of_run(interpreter, host="quiet", started=1795345200.0), data)
        columns: dict[str, Any] = {
            "job_id": job.id,
            "attempt": 1,
            "host": "quiet",
            "target": job.target,
            "interpreter": interpreter,
            "commit": interpreter["commit"],
            "branch": interpreter["branch"],
            "version": interpreter["version"],
            "flags": tuple(interpreter["flags"]),
            "suite": "pyperformance",
            "suite_version": "1.14.0",
            "mode": "default",
            "path": stored.path,
            "sha256": stored.sha256,
            "size": stored.size,
            "benchmarks": len(values or {"nbody": []}),
            "grade": "A",
            **given,
        }
        with store.begin() as conn:
            return results.add_result(conn, now=1795345300.0, who="lab", **columns)

    return make_row


@pytest.fixture
def make_place(receiver: Receiver, tmp_path: Path, secrets_dir: Path) -> Callable[..., Place]:
    """`make_place("hook", grades=...)`: a webhook that tells the receiver, with these settings."""

    def make_one(name: str = "hook", **settings: Any) -> Place:
        (secrets_dir / f"publish-{name}").write_text("a secret of 32 letters or so")
        hook = Webhook(url=f"{receiver.url}/{name}", **{"timeout_s": 5.0, **settings})
        return Place(name, hook, make(name, hook, Site(secrets_dir, tmp_path, URL, "Test lab")))

    return make_one
