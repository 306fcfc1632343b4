"""Makes a lab's folder, whole or not at all."""

import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from benchyard.access.secrets import hash_password, hash_token, new_password, new_token
from benchyard.config.settings import SETTINGS_FILE, Settings, SettingsError, load_settings
from benchyard.daemon.workerdir import write_worker_dir
from benchyard.hosting.inventory import means_else
from benchyard.hosting.registration import (
    HOSTS_DIR,
    SECRETS_DIR,
    register_host,
    secret_path,
    write_secret,
)
from benchyard.lab.database import check_database
from benchyard.lab.errors import LabError
from benchyard.lab.paths import LabPaths
from benchyard.lab.ports import check_address, choose_port
from benchyard.store import users
from benchyard.store.migrate import migrate
from benchyard.tasks.cpus import available_cpus, format_cpu_list
from benchyard.tasks.host.topology import choose_cpus, read_topology

ADMIN = "admin"
PASSWORD_FILE = f"{ADMIN}-password"
HTTP_PORT, WORKER_PORT = 8010, 9989


@dataclass(frozen=True)
class NewLab:
    """What was made: where it is reached, by whom, and what it will measure on."""

    root: Path
    url: str
    token: str
    target: str
    isolated: str | None
    measuring: tuple[int, ...]
    housekeeping: tuple[int, ...]


@dataclass(frozen=True)
class LabOptions:
    """What may be chosen when a lab is made; ports of None are chosen among free ones."""

    title: str = "benchyard"
    listen: str = "127.0.0.1"
    http_port: int | None = None
    worker_port: int | None = None
    isolated: bool = True
    cpus: tuple[int, ...] | None = None
    db_url: str | None = None


def init_lab(root: Path, options: LabOptions) -> NewLab:
    """Make a lab in `root`, which must be empty or not exist; LabError, with nothing left behind, if it cannot be."""
    root = root.absolute()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise LabError(f"{root} is not an empty folder; name another, or start the lab in it with `benchyard lab up`")
    partial = root.with_name(f".{root.name}.part-{os.getpid()}")
    try:
        partial.mkdir(parents=True, mode=0o750)
        new = _make(LabPaths(partial), root, options)
        if root.exists():
            root.rmdir()
        partial.rename(root)
    except OSError as exc:
        raise LabError(f"the lab cannot be made in {root}: {exc.strerror or exc}") from exc
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return new


def _make(paths: LabPaths, root: Path, options: LabOptions) -> NewLab:
    target = f"{platform.system().lower()}-{platform.machine()}"
    check_address(options.listen)
    if options.db_url is not None:
        check_database(options.db_url)
    http_port = choose_port(options.listen, options.http_port, HTTP_PORT)
    worker_port = choose_port(options.listen, options.worker_port, WORKER_PORT, taken=(http_port,))
    _write_settings(paths.root / SETTINGS_FILE, options, target, http_port, worker_port)
    for folder in (HOSTS_DIR, "results", "incoming", "run"):
        (paths.root / folder).mkdir()
    (paths.root / SECRETS_DIR).mkdir(mode=0o700)
    split = choose_cpus(read_topology(), available=available_cpus(), asked=options.cpus)
    _settings(paths.root)
    host = _host_name(target)
    isolated = host if options.isolated else None
    _add_host(paths, f"{host}_worker", "worker", target, "", options.listen, worker_port)
    if isolated:
        _add_host(paths, isolated, "isolated", target, format_cpu_list(split.measuring), options.listen, worker_port)
    _make_master(paths)
    settings = _settings(paths.root)
    token = _make_admin(paths, settings)
    return NewLab(root, settings.lab.url, token, target, isolated, split.measuring, split.housekeeping)


def _settings(root: Path) -> Settings:
    try:
        return load_settings(root)
    except SettingsError as exc:
        raise LabError(str(exc).replace(f"{root}{os.sep}", "")) from exc


def _write_settings(path: Path, options: LabOptions, target: str, http_port: int, worker_port: int) -> None:
    values: dict[str, object] = {
        "title": options.title,
        "listen": options.listen,
        "http_port": http_port,
        "worker_port": worker_port,
    }
    if options.db_url is not None:
        values["db_url"] = options.db_url
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    path.write_text(
        "# This lab's settings; every key there is, is in benchyard.example.toml of the sources.\n"
        "[lab]\n" + "\n".join(lines) + f"\n\n[targets.{target}]\n" + _REMOTE,
        encoding="utf-8",
    )


# What most labs build; nothing is fetched before somebody asks for it.
_REMOTE = """
[remotes.upstream]
url = "https://github.com/python/cpython"
base = "main"
forks = "https://github.com/{owner}/cpython"
"""


def _add_host(paths: LabPaths, name: str, role: str, target: str, cpus: str, listen: str, worker_port: int) -> None:
    register_host(paths.root, name, role=role, target=target, address="localhost", cpus=cpus)
    folder = paths.workers / name
    write_worker_dir(
        folder,
        name=name,
        master_host=listen,
        master_port=worker_port,
        secret_file=os.path.relpath(secret_path(paths.root, name), folder),
        state_dir=os.path.relpath(paths.state, folder),
    )


def _make_master(paths: LabPaths) -> None:
    paths.master.mkdir(mode=0o750)
    templates = files("benchyard.config") / "templates"
    for name in ("master.cfg", "buildbot.tac"):
        (paths.master / name).write_text((templates / name).read_text(encoding="utf-8"), encoding="utf-8")
    upgrade_master(paths)


def upgrade_master(paths: LabPaths) -> None:
    """Bring the database to what the installed Buildbot needs; LabError with the end of what it printed."""
    script = "from buildbot.scripts.runner import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", script, "upgrade-master", "--quiet", str(paths.master)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        stdin=subprocess.DEVNULL,
        cwd=paths.master,
    )
    if done.returncode != 0:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        away = [line.rpartition("OperationalError) ")[2] for line in said if "OperationalError) " in line]
        if away:
            raise LabError(f"the database cannot be reached: {away[-1].strip()}")
        raise LabError("the master's configuration is not good: " + (said[-1].strip() if said else "no word why"))
    (paths.master / "master.cfg.sample").unlink(missing_ok=True)  # Buildbot leaves its own example behind


def _make_admin(paths: LabPaths, settings: Settings) -> str:
    """The first user: a password for the web in the `secrets` folder, a token for the command line."""
    from buildbot.db.enginestrategy import create_engine

    password, token, now = new_password(), new_token(), time.time()
    engine = create_engine(settings.lab.db_url, basedir=str(paths.master))
    try:
        migrate(engine)
        with engine.begin() as conn:
            user = users.create_user(
                conn, now=now, who=ADMIN, name=ADMIN, password_hash=hash_password(password), role="admin"
            )
            users.add_token(conn, user_id=user.id, name="lab init", token_hash=hash_token(token), now=now)
    finally:
        engine.dispose()
    write_secret(paths.root / SECRETS_DIR / PASSWORD_FILE, password)
    return token


def _host_name(target: str) -> str:
    """This machine's name as a host's; names of result files have no dashes."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", socket.gethostname().partition(".")[0]).strip("_")[:30]
    return name if name[:1].isalpha() and not means_else(name, [target]) else "host"
