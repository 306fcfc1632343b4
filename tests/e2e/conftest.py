"""Labs for end-to-end tests: real masters, workers and runs, driven as a user would."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from network import Network, NotPermitted, cabled

from benchyard.client import Client, Job

#: Quick benchmarks, and seconds within which a job of them must be over even on a busy machine.
QUICK = ("json_loads", "nbody")
JOB_S = 240.0


class LabHandle:
    """A lab in a temporary folder and the ways to it."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("BENCHYARD_")}
        self.environ["BENCHYARD_CONFIG"] = str(home / "config.toml")

    def cli(self, *arguments: str, timeout_s: float = 150.0) -> "subprocess.CompletedProcess[str]":
        """Run `benchyard ARGUMENTS` as this lab's admin."""
        return subprocess.run(
            [sys.executable, "-m", "benchyard.cli", *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )

    def check(self, *arguments: str, timeout_s: float = 150.0) -> str:
        """The same, and it must do; gives what it printed."""
        done = self.cli(*arguments, timeout_s=timeout_s)
        assert done.returncode == 0, f"benchyard {' '.join(arguments)}\n{done.stdout}{done.stderr}\n{self.log_tail()}"
        return done.stdout

    def up(self) -> None:
        self.check("lab", "up", str(self.root), "--detach")

    def healthy(self) -> bool:
        """What `lab status` says; asked again and again, so no process is started for it."""
        from benchyard.config.settings import load_settings
        from benchyard.lab.health import look
        from benchyard.lab.paths import LabPaths

        return look(LabPaths(self.root), load_settings(self.root)).ok

    def status(self, job: int) -> str:
        """A job's status, asked without a process as well."""
        with self.client() as client:
            return client.jobs.get(job).status

    def is_shown(self, job: int) -> bool:
        """Whether the lab shows how far the measurement of a job is: it has seen a part of the run's log."""
        with self.client() as client:
            return client.jobs.get(job).progress is not None

    def say(self, settings: str) -> None:
        """Add settings to those that the lab was made with; they count from its next start."""
        path = self.root / "benchyard.toml"
        text = path.read_text()
        if "[remotes." in settings:
            text = text.partition("\n[remotes.")[0]
        path.write_text(text + settings)

    def down(self, *options: str) -> str:
        return self.check("lab", "down", str(self.root), *options)

    def client(self) -> Client:
        """A client of this lab's admin."""
        from benchyard.client.config import load_config

        config = load_config(Path(self.environ["BENCHYARD_CONFIG"]))
        assert config.default is not None
        return Client(config.default, config)

    def log_tail(self) -> str:
        log = self.root / "master" / "twistd.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-40:]) if log.exists() else ""

    def run_log(self) -> list[list[str]]:
        """The host's own record: [time, START or END, run, ...] in the order in which it happened."""
        path = self.root / "state" / "runs" / "runs.log"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def starts(self, run: str) -> int:
        """How often a run was started, by the runner's own word."""
        return sum(line[1:3] == ["START", run] for line in self.run_log())

    def processes(self) -> list[psutil.Process]:
        """All processes that belong to this lab: programs, runs and what those left."""
        found = []
        for process in psutil.process_iter():
            try:
                environ = process.environ()
                known = {environ.get(f"BENCHYARD_{name}", "") for name in ("SUPERVISOR", "RUN", "BUILD")}
                if any(str(self.root) in text for text in (*known, *process.cmdline())):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def marked(self, run: str) -> list[psutil.Process]:
        """What still runs of one run."""
        mark, found = str(self.root / "state" / "runs" / run), []
        for process in self.processes():
            with suppress(psutil.Error):  # it has ended meanwhile
                if process.is_running() and process.environ().get("BENCHYARD_RUN") == mark:
                    found.append(process)
        return found

    def left_running(self, grace_s: float = 5.0) -> list[psutil.Process]:
        """What still runs of a lab that is down; killed processes may take a moment to be gone."""
        deadline = time.monotonic() + grace_s
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def program(self, name: str) -> psutil.Process:
        """The running program in the folder `name` of the lab, such as `master`."""
        for process in psutil.process_iter():
            try:
                if process.cwd() == str(self.root / name) and "twistd" in " ".join(process.cmdline()):
                    return process
            except psutil.Error:
                continue
        raise AssertionError(f"no program runs in {self.root / name}")

    def measuring_host(self) -> str:
        """The name of the isolated host."""
        return next(path.stem for path in (self.root / "hosts.d").glob("*.toml") if not path.stem.endswith("_worker"))


def ports(*options: str) -> list[str]:
    """Options that give a lab free ports, unless it has been given some."""
    said: list[str] = []
    with ExitStack() as held:
        for option in ("--http-port", "--worker-port"):
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            said += [] if option in options else [option, str(probe.getsockname()[1])]
    return said


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
    """Wait until a condition holds, with a bound."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(0.1)


@contextmanager
def labs(folders: pytest.TempPathFactory, environments: Path | None) -> Iterator[Callable[..., LabHandle]]:
    """A function that makes labs, which may share `environments`; each is taken down at the end, whatever happened."""
    made: list[LabHandle] = []

    def make(*options: str, up: bool = True) -> LabHandle:
        home = folders.mktemp("lab")
        lab = LabHandle(home / "lab", home)
        # Ports that no other lab takes between this and the lab's start.
        lab.check("lab", "init", str(lab.root), *options, *ports(*options))
        made.append(lab)
        if "PYTEST_XDIST_WORKER" in os.environ:
            # Another test may measure beside this one: it needs the CPU, too, and will not be quiet.
            for host in (lab.root / "hosts.d").glob("*.toml"):
                if 'role = "isolated"' in (text := host.read_text()):
                    host.write_text(f"{text}shield = false\nguard_wait_s = 0.0\n")
        if environments is not None:
            (lab.root / "state").mkdir(exist_ok=True)
            (lab.root / "state" / "environments").symlink_to(environments)
        if up:
            lab.up()
        return lab

    yield make
    for lab in made:
        lab.cli("lab", "down", str(lab.root))
    left = [process for lab in made for process in lab.left_running()]
    told = [" ".join(process.cmdline()) for process in left if process.is_running()]
    for process in left:
        process.kill()
    assert not left, f"left running: {told}"


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The benchmarks' environments that labs share: making one takes seconds."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="module")
def make_lab(tmp_path_factory: pytest.TempPathFactory, environments: Path) -> Iterator[Callable[..., LabHandle]]:
    """Makes labs, which are there for the tests of one file: a lab that idles takes time from all others."""
    with labs(tmp_path_factory, environments) as make:
        yield make


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHandle]:
    """One lab that all tests share which do not break it; its environments are its own."""
    with labs(tmp_path_factory, None) as make:
        yield make()


@pytest.fixture
def network() -> Iterator[Network]:
    """A namespace with one cable to this machine, and nothing else."""
    cable = cabled()
    try:
        made = cable.__enter__()
    except NotPermitted as exc:
        pytest.xfail(str(exc))
    try:
        yield made
    finally:
        cable.__exit__(None, None, None)


@pytest.fixture
def python() -> str:
    """The interpreter that is measured."""
    return str(Path(sys.executable).resolve())


@pytest.fixture
def wait() -> Callable[..., None]:
    """`wait(condition, what, timeout_s)`: waits with a bound."""
    return wait_for


@pytest.fixture
def browser(lab: LabHandle) -> Iterator[httpx.Client]:
    """A browser session that is logged in as the admin."""
    with lab.client() as client:
        url = client.url
    password = (lab.root / "secrets" / "admin-password").read_text().strip()
    with httpx.Client(base_url=url, timeout=30) as session:
        assert session.get("/auth/login", auth=("admin", password)).status_code in (200, 302)
        yield session


@pytest.fixture
def control() -> Callable[..., httpx.Response]:
    """`control(session, path, method, **params)`: calls one of Buildbot's control methods."""

    def call(session: httpx.Client, path: str, method: str, **params: Any) -> httpx.Response:
        return session.post(
            f"/api/v2/{path}",
            json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
            headers={"Origin": str(session.base_url).rstrip("/")},
        )

    return call


@pytest.fixture
def force(control: Callable[..., httpx.Response]) -> Callable[..., httpx.Response]:
    """`force(session, **fields)`: fills in the force form of the only target and sends it."""

    def send(session: httpx.Client, **fields: str) -> httpx.Response:
        (form,) = session.get("/api/v2/forceschedulers").json()["forceschedulers"]
        (builder,) = form["builder_names"]
        return control(session, f"forceschedulers/{form['name']}", "force", builderNames=[builder], **fields)

    return send


def last_id(client: Client) -> int:
    """The number of the newest job, 0 if there is none."""
    return max((job.id for job in client.jobs.list(limit=1)), default=0)


@pytest.fixture
def newest() -> Callable[..., Job]:
    """`newest(client, after)`: the job that came by a door after job `after`; its row is made after its request."""

    def find(client: Client, after: int) -> Job:
        wait_for(lambda: last_id(client) > after, "the job is there")
        return next(iter(client.jobs.list(limit=1)))

    return find
