"""A PostgreSQL server of the tests' own, on a socket in a folder of its own."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

_INSTALL = "this needs PostgreSQL's server: apt-get install postgresql"
_START_S = 60.0
_STOP_S = 30.0


class Server:
    """A running server; `url` is of its own database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._made = 0

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        self._made += 1
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as conn:
            conn.exec_driver_sql(f"CREATE DATABASE test{self._made}")
        return self.url.replace("/postgres?", f"/test{self._made}?")


@contextmanager
def running(*, durable: bool = False) -> Iterator[Server]:
    """Run a server as its own user; only if `durable` does it wait for the disk at each commit."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="benchyard-pg-"))
    user = _user()
    if user is not None:
        shutil.chown(folder, user, user)
    try:
        data = str(folder / "data")
        initdb = [str(programs / "initdb"), "-D", data, "-U", "benchyard", "-A", "trust", "-E", "UTF8"]
        made = subprocess.run(
            [*initdb, "--no-sync"], user=user, cwd=folder, capture_output=True, text=True, timeout=_START_S
        )
        assert made.returncode == 0, made.stderr
        options = ["-c", "listen_addresses=", *([] if durable else ["-F"])]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [str(programs / "postgres"), "-D", data, "-k", str(folder), *options],
                user=user,
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        try:
            url = f"postgresql+psycopg://benchyard@/postgres?host={folder}"
            _wait_for(server, url, folder / "log")
            yield Server(url)
        finally:
            # At once: what is in these databases is worth no checkpoint.
            server.send_signal(signal.SIGQUIT)
            try:
                server.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait(_STOP_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """Where Debian keeps the server's programs, which are not on PATH; the newest version's."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    assert on_path is not None, _INSTALL
    return Path(on_path).resolve().parent


def _user() -> str | None:
    """Whom the server runs as: ourselves, unless we are root, whom it refuses."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _wait_for(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    deadline = time.monotonic() + _START_S
    while True:
        try:
            with engine.connect():
                return
        except sa.exc.OperationalError:
            assert server.poll() is None and time.monotonic() < deadline, f"it did not start:\n{log.read_text()}"
            time.sleep(0.1)
