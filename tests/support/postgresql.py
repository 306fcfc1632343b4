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
    """A server on a socket in `folder`, which exists; `url` is of its own database."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self.url = f"postgresql+psycopg://benchyard@/postgres?host={folder}"
        self._folder, self._data, self._log = folder, str(folder / "data"), folder / "log"
        self._options = ["-c", "listen_addresses=", *([] if durable else ["-F"])]
        self._user = _user()
        self._made = 0
        if self._user is not None:
            shutil.chown(folder, self._user, self._user)
        initdb = [str(_programs() / "initdb"), "-D", self._data, "-U", "benchyard", "-A", "trust", "-E", "UTF8"]
        made = subprocess.run(
            [*initdb, "--no-sync"], user=self._user, cwd=folder, capture_output=True, text=True, timeout=_START_S
        )
        assert made.returncode == 0, made.stderr

    def new_database(self, like: str | None = None) -> str:
        """Make an empty database, or one like that with the URL `like`, and return its URL."""
        self._made += 1
        template = f" TEMPLATE {sa.make_url(like).database}" if like is not None else ""
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as conn:
            conn.exec_driver_sql(f"CREATE DATABASE test{self._made}{template}")
        return self.url.replace("/postgres?", f"/test{self._made}?")

    def start(self) -> None:
        """Start it as its own user, and wait until it answers."""
        argv = [str(_programs() / "postgres"), "-D", self._data, "-k", str(self._folder), *self._options]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(argv, user=self._user, cwd=self._folder, stdout=log, stderr=log)
        _wait_for(self._process, self.url, self._log)

    def stop(self) -> None:
        """End it at once, with all its connections: what is in these databases is worth no checkpoint."""
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_S)


@contextmanager
def running(*, durable: bool = False) -> Iterator[Server]:
    """Run a server; only if `durable` does it wait for the disk at each commit."""
    folder = Path(tempfile.mkdtemp(prefix="benchyard-pg-"))
    try:
        server = Server(folder, durable=durable)
        server.start()
        try:
            yield server
        finally:
            server.stop()
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
