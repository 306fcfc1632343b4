"""Results as the lab has them, and a real codespeed."""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import codespeed
import msgspec
import pytest
from meddling import Meddler, meddling

from benchyard.publish.codespeed.items import items_of
from benchyard.publish.destinations import Measured, Publication, Site
from benchyard.publish.settings import Codespeed
from benchyard.results.intake import take_in
from benchyard.store.rows import Job, Result

Arrived = Callable[[codespeed.Server, Publication], None]

COMMIT = "4b8f1c0d2e3a4f5061728394a5b6c7d8e9f00112"


@pytest.fixture(scope="session")
def unpack() -> Callable[[Path], bytes]:
    """A function that reads a packed file."""
    return lambda path: gzip.decompress(path.read_bytes())


def file_of(benchmarks: dict[str, Sequence[float]], unit: str = "second", **metadata: Any) -> bytes:
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


@pytest.fixture(scope="session")
def make_file() -> Callable[..., bytes]:
    """`make_file(benchmarks, unit, **metadata)`: a pyperf file of benchmarks with these values."""
    return file_of


@pytest.fixture
def publication(tmp_path: Path) -> Callable[..., Publication]:
    """`publication(data, **columns)`: a result that the lab has taken in, of CPython's COMMIT unless told otherwise."""

    def make(
        data: bytes | None = None,
        *,
        interpreter: dict[str, Any] | None = None,
        source: dict[str, Any] | None = None,
        **columns: Any,
    ) -> Publication:
        data = data or file_of({"nbody": (0.1, 0.2, 0.3), "json_loads": (0.01,)})
        (tmp_path / "results").mkdir(exist_ok=True)
        taken = take_in(tmp_path / "results", data, host="bench1", commit=None, branch=None, now=1.7e9, present=None)
        taken["interpreter"] |= interpreter or {}
        facts = taken["interpreter"]
        row = {
            "id": 7,
            "job_id": None,
            "attempt": None,
            "status": "stored",
            "enabled": True,
            "host": "bench1",
            "target": "linux-x86_64",
            "commit": facts["commit"] or COMMIT,
            "branch": facts["branch"],
            "failed": (),
            "created": 1_750_000_000.0,
            "changed": 1_750_000_000.0,
            "changed_by": "anna",
            **taken,
            **columns,
        }
        result = msgspec.convert(row, Result)
        return Publication(head=Measured(result=result, data=data, job=_job(source)), link="http://lab.example/1")

    return make


def _job(source: dict[str, Any] | None) -> Job | None:
    if source is None:
        return None
    words = {"kind": "benchmarks", "target": "linux-x86_64", "status": "success", "owner": "anna", "origin": "rest"}
    none = ("host", "error", "request_id", "progress", "cancel_by", "queued", "started", "finished")
    row = {"id": 3, "enabled": True, "spec": {"source": source}, "reason": "", "pushes": 1, "created": 1.0}
    return msgspec.convert({**words, **dict.fromkeys(none), **row, "changed": 1.0, "changed_by": "anna"}, Job)


@pytest.fixture(scope="session")
def password() -> str:
    """The secret of the destination `speed`, with letters as people may choose them."""
    return "grüne Wiese 7"


@pytest.fixture
def site(tmp_path: Path, password: str) -> Site:
    """What a destination may use, with the secret of the destination `speed`."""
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o700)
    (folder / "publish-speed").write_text(password + "\n", encoding="utf-8")
    return Site(secrets_dir=folder, work_dir=tmp_path, lab_url="http://lab.example/", title="lab")


@pytest.fixture
def sending(spin: Callable[..., Any], site: Site) -> Iterator[Callable[..., Any]]:
    """`sending(url, **settings)`: a destination `speed`, and `.send(publication)` at it gives the receipt."""
    from benchyard.publish.codespeed.destination import make

    made: list[Any] = []

    class Sending:
        def __init__(self, url: str, **settings: Any) -> None:
            self.destination = make("speed", msgspec.convert({"url": url, **settings}, Codespeed), site)
            made.append(self.destination)

        def send(self, publication: Publication) -> Any:
            return spin(self.destination.publish(publication))

    yield Sending
    for destination in made:
        spin(destination.close())


@pytest.fixture(scope="session")
def many() -> bytes:
    """A file of 40 benchmarks."""
    return file_of({f"benchmark_{number}": (number + 0.25, number + 0.5, number + 1.5) for number in range(40)})


@pytest.fixture
def commit(request: pytest.FixtureRequest) -> str:
    """A commit of the test's own."""
    return hashlib.sha1(request.node.nodeid.encode(), usedforsecurity=False).hexdigest()


@pytest.fixture(scope="session")
def arrived() -> Arrived:
    """`arrived(server, publication)`: all values of a result are at a codespeed, each once and as it was measured."""

    def check(server: codespeed.Server, publication: Publication) -> None:
        items = items_of(publication, msgspec.convert({"url": "http://any.example/"}, Codespeed))
        expected = [(i.benchmark, i.result_value, i.std_dev, i.min, i.max, i.q1, i.q3) for i in items]
        rows = server.of(items[0].commitid)
        assert sorted((row["benchmark"], *(row[name] for name in codespeed.COLUMNS)) for row in rows) == sorted(
            expected
        )

    return check


@pytest.fixture(scope="session")
def speed() -> Iterator[codespeed.Server]:
    """A codespeed that all tests share which do not break it; each has commits of its own there."""
    with codespeed.running() as server:
        yield server


@pytest.fixture
def meddler(speed: codespeed.Server) -> Iterator[Meddler]:
    """A meddler before the shared codespeed."""
    with meddling(speed.port) as found:
        yield found
