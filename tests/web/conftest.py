"""A real master in a lab of its own, whose hosts are not connected, and people of each role."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from benchyard.access.secrets import hash_password, hash_token, new_token
from benchyard.daemon.workerdir import twistd_program
from benchyard.lab.init import PASSWORD_FILE, LabOptions, NewLab, init_lab
from benchyard.store import users
from benchyard.store.tables import users as users_table

API = "plugins/benchyard/api/v1"

#: Seconds within which a master is up, and within which it is down, on a busy machine.
START_S, STOP_S = 60.0, 40.0

#: The password of everybody but the admin.
PASSWORD = "correct horse"


class Lab:
    """A running master and the ways to it: `token` by name, `call` as one of them."""

    def __init__(self, new: NewLab) -> None:
        self.root, self.url, self.target, self.isolated = new.root, new.url, new.target, new.isolated
        self.tokens = {"admin": new.token}
        self.passwords = {"admin": (new.root / "secrets" / PASSWORD_FILE).read_text().strip()}
        self.python = str(Path(sys.executable).resolve())

    @property
    def api(self) -> str:
        """The address of the REST interface."""
        return self.url + API

    def engine(self) -> sa.Engine:
        """The lab's database."""
        return sa.create_engine(f"sqlite:///{self.root}/master/state.sqlite", poolclass=sa.NullPool)

    def add_user(self, name: str, role: str, *, read_only: bool = False) -> None:
        """A person with a password and a token."""
        self.tokens[name], self.passwords[name] = new_token(), PASSWORD
        with self.engine().begin() as conn:
            user = users.create_user(
                conn, now=1.0, who="admin", name=name, password_hash=hash_password(PASSWORD), role=role
            )
            token_hash = hash_token(self.tokens[name])
            users.add_token(conn, user_id=user.id, name="t", token_hash=token_hash, now=1.0, read_only=read_only)

    def disable_user(self, name: str) -> None:
        """Take somebody's access away."""
        with self.engine().begin() as conn:
            conn.execute(sa.update(users_table).where(users_table.c.name == name).values(enabled=False))

    def call(self, method: str, path: str, who: str | None = None, **kwargs: Any) -> httpx.Response:
        """One request as somebody by token, or as nobody."""
        headers = kwargs.pop("headers", {})
        if who is not None:
            headers = {"Authorization": f"Bearer {self.tokens[who]}", **headers}
        return httpx.request(method, self.api + path, headers=headers, timeout=30, **kwargs)

    @contextlib.contextmanager
    def browser(self, who: str, password: str | None = None) -> Iterator[httpx.Client]:
        """A browser in which somebody has tried to log in on Buildbot's page."""
        with httpx.Client(base_url=self.url, timeout=30) as client:
            client.get("auth/login", auth=(who, password or self.passwords[who]))
            yield client

    def submit(self, who: str = "admin", **request: Any) -> dict[str, Any]:
        """A job, created and not queued unless asked for."""
        body = {"python": self.python, "benchmarks": ["nbody"], "run": False, **request}
        answer = self.call("POST", "/jobs", who, json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def log(self) -> str:
        """The end of the master's log."""
        path = self.root / "master" / "twistd.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-60:]) if path.exists() else ""


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def _running(lab: Lab) -> Iterator[Lab]:
    """The lab while its master runs."""
    program = twistd_program("master", lab.root / "master", lab.root / "run" / "master.log")
    with program.log.open("wb") as log:
        master = subprocess.Popen(
            program.argv, cwd=program.cwd, env=dict(os.environ), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + START_S
        while not _answers(lab):
            assert master.poll() is None, f"the master did not start\n{lab.log()}"
            assert time.monotonic() < deadline, f"the master is not up after {START_S:.0f} s\n{lab.log()}"
            time.sleep(0.1)
        yield lab
    finally:
        master.terminate()
        try:
            master.wait(STOP_S)
        except subprocess.TimeoutExpired:
            master.kill()
            master.wait(STOP_S)


def _answers(lab: Lab) -> bool:
    try:
        return lab.call("GET", "/health").status_code == 200
    except httpx.TransportError:
        return False


def _new_lab(root: Path) -> NewLab:
    """A lab whose playbooks are in a folder that is not there: no test here is to change this machine."""
    http_port, worker_port = _free_ports()
    new = init_lab(root, LabOptions(http_port=http_port, worker_port=worker_port))
    settings = root / "benchyard.toml"
    settings.write_text(settings.read_text().replace("[lab]\n", '[lab]\nansible = "playbooks"\n', 1))
    return new


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab that the tests share: admin, members ada and bob, viewer vic, dan whose access was taken away, and
    eve, an admin whose token is for reading only.
    """
    lab = Lab(_new_lab(tmp_path_factory.mktemp("web") / "lab"))
    for name, role in (("ada", "member"), ("bob", "member"), ("vic", "viewer"), ("dan", "member")):
        lab.add_user(name, role)
    lab.add_user("eve", "admin", read_only=True)
    lab.disable_user("dan")
    yield from _running(lab)


@pytest.fixture(scope="session")
def make_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Lab]]:
    """`make_lab(closed=False, more="[publish.hook]...", publish-hook="...")`: a lab of its own for tests that leave
    nothing as it was, with more settings and secrets, and with the result files of the folder `results`.
    """
    with contextlib.ExitStack() as labs:

        def make(
            *,
            closed: bool = False,
            own_playbooks: bool = True,
            more: str = "",
            results: Path | None = None,
            **secrets: str,
        ) -> Lab:
            lab = Lab(_new_lab(tmp_path_factory.mktemp("own") / "lab"))
            if not own_playbooks:
                settings = lab.root / "benchyard.toml"
                settings.write_text(settings.read_text().replace('ansible = "playbooks"\n', ""))
            if results is not None:
                shutil.copytree(results, lab.root / "results", dirs_exist_ok=True)
            with (lab.root / "benchyard.toml").open("a") as file:
                file.write(more)
            for name, secret in secrets.items():
                (lab.root / "secrets" / name).write_text(secret)
            if closed:
                settings = lab.root / "benchyard.toml"
                settings.write_text(settings.read_text().replace("[lab]\n", "[lab]\nanonymous_read = false\n"))
            return labs.enter_context(contextlib.contextmanager(_running)(lab))

        yield make


@pytest.fixture(scope="session")
def closed_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab that strangers may not read."""
    lab = Lab(_new_lab(tmp_path_factory.mktemp("closed") / "lab"))
    settings = lab.root / "benchyard.toml"
    settings.write_text(settings.read_text().replace("[lab]\n", "[lab]\nanonymous_read = false\n"))
    yield from _running(lab)
