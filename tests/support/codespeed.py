"""The real codespeed 0.13.0 as a server of the tests' own, in a Python environment of its own."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

#: What codespeed runs on, in the order of its installation: it is of 2019, and so is all that it needs.
PINS = (
    ("pip==23.2.1", "setuptools==65.5.0", "wheel==0.37.1", "setuptools-markdown==0.4.1", "pypandoc==1.7.5"),
    ("Django==2.2.28", "pytz==2023.3", "sqlparse==0.4.4", "isodate==0.7.2", "matplotlib"),
    ("--no-deps", "--no-build-isolation", "codespeed==0.13.0"),
)

_REPOSITORY = Path(__file__).parents[2]
_SITE = Path(__file__).parent / "codespeed_site"
_INSTALL_S = 600.0
_START_S = 60.0
_STOP_S = 20.0

# Revisions on its page of all benchmarks.
_GRID = 15

COLUMNS = ("value", "std_dev", "val_min", "val_max", "q1", "q3")
"""codespeed's own names for what it keeps of a result."""


@dataclass(frozen=True)
class Site:
    """How a codespeed is set up; `certificate` and `key` are files, with which it speaks TLS."""

    environments: Sequence[str] = ("bench1",)
    projects: dict[str, str] = field(default_factory=lambda: {"CPython": "main"})
    users: dict[str, str] = field(default_factory=dict)
    anonymous: bool = True
    secure_auth: bool = True
    max_body_bytes: int = 2_621_440
    lock_wait_s: float = 5.0
    use_tz: bool = True
    hosts: Sequence[str] = ("127.0.0.1", "localhost")
    certificate: str | None = None
    key: str | None = None


class Server:
    """A codespeed in `folder`, on one port from its first start on."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.database = folder / "codespeed.sqlite"
        self._settings, self._log = folder / "site.json", folder / "log"
        self._site = site
        self.port = 0
        self._process: subprocess.Popen[str] | None = None
        shutil.copy(environment() / "empty.sqlite", self.database)

    @property
    def url(self) -> str:
        """Its root."""
        return f"{'https' if self._site.certificate else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        _write(self._settings, self._site, database=self.database, port=self.port, serve=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [environment() / "bin" / "python", _SITE / "serve.py", self._settings],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=_environ(),
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said, f"codespeed did not start:\n{self._log.read_text()[-2000:]}"
        self.port = int(said)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, if it runs."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_S)
        if process.stdout is not None:
            process.stdout.close()

    def results(self) -> list[dict[str, Any]]:
        """All it keeps, one row for each result, from its database: not all of it is on one of its pages."""
        return self.query(
            """SELECT project.name AS project, branch.name AS branch, revision.commitid, revision.date AS revision_date,
                 executable.name AS executable, environment.name AS environment, benchmark.name AS benchmark,
                 benchmark.units, benchmark.units_title, benchmark.lessisbetter, result.date,
                 result.value, result.std_dev, result.val_min, result.val_max, result.q1, result.q3
               FROM codespeed_result AS result
               JOIN codespeed_revision AS revision ON revision.id = result.revision_id
               JOIN codespeed_branch AS branch ON branch.id = revision.branch_id
               JOIN codespeed_project AS project ON project.id = branch.project_id
               JOIN codespeed_executable AS executable ON executable.id = result.executable_id
               JOIN codespeed_environment AS environment ON environment.id = result.environment_id
               JOIN codespeed_benchmark AS benchmark ON benchmark.id = result.benchmark_id
               ORDER BY result.id"""
        )

    def of(self, commit: str) -> list[dict[str, Any]]:
        """All it keeps of a commit."""
        return [row for row in self.results() if row["commitid"] == commit]

    def query(self, sql: str, *given: object) -> list[dict[str, Any]]:
        """Rows of its database, which is only read."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)) as conn:
            conn.row_factory = sqlite3.Row
            return [dict(row) for row in conn.execute(sql, given)]

    def timeline(self, executable: str, environment: str) -> dict[str, list[list[Any]]]:
        """What its page of timelines draws of each benchmark: its points, the newest first."""
        (exe,) = self.query("SELECT id FROM codespeed_executable WHERE name = ?", executable)
        (env,) = self.query("SELECT id FROM codespeed_environment WHERE name = ?", environment)
        # Of all benchmarks at once it shows so many revisions, whatever it is asked for.
        (count,) = self.query("SELECT count(*) AS revisions FROM codespeed_revision")
        benchmarks = ["grid"]
        if count["revisions"] > _GRID:
            benchmarks = [row["name"] for row in self.query("SELECT name FROM codespeed_benchmark")]
        drawn: dict[str, list[list[Any]]] = {}
        for benchmark in benchmarks:
            given = {"exe": exe["id"], "env": env["id"], "ben": benchmark, "revs": 1000, "base": "none"}
            page = f"{self.url}/timeline/json/?{urllib.parse.urlencode(given)}"
            with urllib.request.urlopen(page, timeout=60) as answer:  # noqa: S310 (its own address)
                document = json.load(answer)
            for timeline in document["timelines"]:
                branches = [branch.get(str(exe["id"]), []) for branch in timeline["branches"].values()]
                drawn[timeline["benchmark"]] = [point for points in branches for point in points]
        return drawn

    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text(errors="replace")

    def posts(self, status: int = 202) -> int:
        """How many posts of results it has answered so, by its own log."""
        return len(re.findall(rf'"POST /result/add/json/ HTTP/1.1" {status} ', self.log()))


@contextmanager
def running(**site: Any) -> Iterator[Server]:
    """Run a codespeed set up as `Site` says; gone with all it keeps afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="benchyard-codespeed-"))
    try:
        server = Server(folder, Site(**site))
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment() -> Path:
    """The Python environment that has codespeed, made at first, and in it an empty database; one makes it at a time."""
    known = hashlib.sha256(json.dumps(PINS).encode()).hexdigest()[:12]
    folder = _REPOSITORY / ".cache" / f"codespeed-{known}"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "codespeed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "empty.sqlite").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder)
    return folder


def _make(folder: Path) -> None:
    """Install it as its makers would have, by the package client as this machine has it set up."""
    _run([_python(), "-m", "venv", folder])
    for pins in PINS:
        _run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins])
    database, settings = folder / "partial.sqlite", folder / "site.json"
    _write(settings, Site(environments=(), projects={}), database=database, port=0, serve=False)
    _run([folder / "bin" / "python", _SITE / "serve.py", settings])
    database.rename(folder / "empty.sqlite")


def _write(path: Path, site: Site, **more: object) -> None:
    path.write_text(json.dumps(asdict(site) | more, default=str), encoding="utf-8")


def _python() -> str:
    """A Python that its Django runs on: the newest is 3.11."""
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    found = shutil.which("python3.11")
    assert found is not None, "codespeed 0.13.0 needs Python 3.11 or older: apt-get install python3.11-venv"
    return found


def _run(argv: Sequence[str | Path]) -> None:
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, timeout=_INSTALL_S, env=_environ())
    assert done.returncode == 0, f"{' '.join(map(str, argv))}\n{done.stdout}{done.stderr}"


def _environ() -> dict[str, str]:
    """Ours, without what would let its Python find this module instead of codespeed."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


if __name__ == "__main__":
    environment()
