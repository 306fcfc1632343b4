"""`benchyard worker`: join this host to a lab, and run its worker."""

import os
import platform
import re
import socket
import sys
import time
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

SECRET_FILE = "secret"  # noqa: S105 (the name of a file)
TRUST_DIR = "trust"
START_S = 60.0
CONNECT_S = 15.0

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
DIR = click.argument("directory", metavar="[DIR]", type=click.Path(path_type=Path), default=Path("worker"))


@click.group()
def worker() -> None:
    """Join this host to a lab as a worker; DIR is the worker's folder, `worker` if not named."""


@worker.command()
@click.argument("url")
@DIR
@click.option("--name", help="The host's name in the lab (default: this machine's).")
@click.option(
    "--role", type=click.Choice(["isolated", "worker"]), default="isolated", show_default=True,
    help="An isolated host measures and does nothing else; a worker prepares and builds.",
)  # fmt: skip
@click.option("--target", help="What it is (default: this machine's system and architecture).")
@click.option("--address", help="Where it is in the network (default: as the lab's master sees it).")
@click.option("--cpus", metavar="LIST", help="CPUs to measure on (default: the last).")
@click.option(
    "--trust",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The certificate of a lab that takes workers over TLS: its secrets/worker.crt.",
)
@click.option(
    "--tls-name", metavar="NAME", help="The name that certificate is of (default: the address of the lab's master)."
)  # fmt: skip
@JSON
def init(
    url: str,
    directory: Path,
    name: str | None,
    role: Any,
    target: str | None,
    address: str | None,
    cpus: str | None,
    trust: Path | None,
    tls_name: str | None,
    as_json: bool,
) -> None:
    """Join this host to the lab at URL (as one of its admins) and make its worker's folder.

    Example: benchyard worker init http://lab.example:8010 ~/worker
    """
    from benchyard.cli.options import connect
    from benchyard.cli.output import print_json
    from benchyard.client import Conflict
    from benchyard.daemon.workerdir import write_worker_dir

    directory = directory.absolute()
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise click.ClickException(f"{directory} is not an empty folder; name another")
    if tls_name and trust is None:
        raise click.UsageError("--tls-name goes with --trust FILE: without a certificate no TLS is spoken")
    measuring = _measuring(cpus) if role == "isolated" else ""
    name = name or re.sub(r"[^A-Za-z0-9_]", "_", socket.gethostname().partition(".")[0])
    with connect(url) as client:
        try:
            added = client.hosts.add(
                name,
                role=role,
                target=target or f"{platform.system().lower()}-{platform.machine()}",
                address=address or _own_address(url),
                cpus=measuring,
            )
        except Conflict as exc:
            again = (
                f"with --name, or if it was this machine take it out first: `benchyard --url {url} host remove {name}`"
            )
            raise click.ClickException(f"{exc} {again}") from exc
    if directory.exists():
        directory.rmdir()
    write_worker_dir(
        directory,
        name=added.worker.name,
        master_host=added.worker.master_host,
        master_port=added.worker.master_port,
        secret_file=SECRET_FILE,
        state_dir="state",
        measuring_cpus=measuring,
        tls_trust=TRUST_DIR if trust is not None else "",
        tls_name=tls_name or "",
    )
    if trust is not None:
        (directory / TRUST_DIR).mkdir()
        (directory / TRUST_DIR / "lab.pem").write_bytes(trust.read_bytes())
    with os.fdopen(os.open(directory / SECRET_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(added.worker.secret + "\n")
    if as_json:
        # Without the secret, which is in its file alone.
        print_json({"host": added.host.document, "directory": str(directory), "cpus": measuring})
        return
    click.echo(f"host {added.host.name} has joined {url} as {role}; its worker is in {directory}")
    if measuring:
        click.echo(f"it measures on CPU {measuring}")
    click.echo(f"start it with `benchyard worker up {directory}`")


def _measuring(cpus: str | None) -> str:
    from benchyard.tasks.cpus import available_cpus, format_cpu_list, parse_cpu_list
    from benchyard.tasks.errors import CpuListError
    from benchyard.tasks.host.topology import choose_cpus, read_topology

    try:
        asked = parse_cpu_list(cpus) if cpus else None
        return format_cpu_list(choose_cpus(read_topology(), available=available_cpus(), asked=asked).measuring)
    except CpuListError as exc:
        raise click.UsageError(f"--cpus: {exc}") from exc


def _own_address(url: str) -> str:
    """The address from which this host reaches the lab."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=10) as connection:
            return str(connection.getsockname()[0])
    except OSError as exc:
        raise click.ClickException(f"no lab answers at {url}: {exc.strerror or exc}") from exc


@worker.command()
@DIR
@click.option("--detach", is_flag=True, help="Come back when it runs, and leave it running.")
@JSON
def up(directory: Path, detach: bool, as_json: bool) -> None:
    """Run a worker; without --detach until Ctrl-C. Measurements that it started outlive it.

    Example: benchyard worker up ~/worker --detach
    """
    from benchyard import daemon
    from benchyard.cli.output import say
    from benchyard.daemon.workerdir import twistd_program

    if as_json and not detach:
        raise click.UsageError("--json goes with --detach: without it there is no end to print")
    directory, settings, lock = _open(directory)
    if (pid := daemon.running(lock)) is not None:
        raise click.ClickException(f"the worker in {directory} is running already (process {pid})")
    log = directory / "run" / "worker.log"
    if detach:
        argv = [sys.executable, "-m", "benchyard.cli", "worker", "up", str(directory)]
        own_log = directory / "twistd.log"
        written = own_log.stat().st_size if own_log.exists() else 0
        daemon.spawn_detached(argv, log=log, cwd=directory)
        deadline = time.monotonic() + START_S
        while (pid := daemon.running(lock)) is None:
            if time.monotonic() > deadline:
                raise click.ClickException(f"the worker did not start; see {log}")
            time.sleep(0.1)
        name, master = settings["name"], f"{settings['master_host']}:{settings['master_port']}"
        connected = _connected(own_log, written)
        if connected is False:
            daemon.stop(lock, 60.0)
            remedy = f"take the host out with `benchyard host remove {name}`, and join again into another folder"
            raise click.ClickException(f"the master at {master} refuses worker {name}: its secret is wrong; {remedy}")
        how = f"is connected to {master}" if connected else f"has no connection to {master} yet, which it keeps trying"
        text = f"worker {name} runs (process {pid}) and {how}; its log is {own_log}"
        say(text, {"name": name, "pid": pid, "log": str(own_log), "connected": bool(connected)}, as_json)
        return
    _mend(directory / settings["state_dir"])
    _keep_off(settings.get("measuring_cpus", ""))
    try:
        daemon.supervise([twistd_program(settings["name"], directory, log)], lock=lock, say=click.echo)
    except daemon.AlreadyRunning as exc:
        raise click.ClickException(f"the worker in {directory} is running already: {exc}") from exc


def _connected(log: Path, offset: int) -> bool | None:
    """Whether the master has taken the worker, by what its log says behind `offset`; None if nobody answers."""
    said = {b"Connected to buildmaster": True, b"unauthorized login": False}
    deadline = time.monotonic() + CONNECT_S
    while time.monotonic() < deadline:
        if log.exists():
            with log.open("rb") as file:
                file.seek(min(offset, log.stat().st_size))
                text = file.read()
            for words, connected in said.items():
                if words in text:
                    return connected
        time.sleep(0.1)
    return None


def _mend(state: Path) -> None:
    """Put the host back as it was where a killed run has left it set up."""
    from benchyard.tasks.host.setup import mend_host

    for problem in mend_host(state):
        click.echo(f"benchyard: {problem}", err=True)


def _keep_off(measuring: str) -> None:
    """Leave the measuring CPUs to measurements, where there are others."""
    from benchyard.tasks.cpus import available_cpus, parse_cpu_list

    rest = set(available_cpus()) - set(parse_cpu_list(measuring) if measuring else ())
    if measuring and rest:
        os.sched_setaffinity(0, rest)
    elif measuring:
        click.echo("this machine has one CPU for all: measurements share it with the worker and will be noisy")


@worker.command()
@DIR
@JSON
def down(directory: Path, as_json: bool) -> None:
    """Stop a worker. A measurement that it started goes on and is found again at the next start.

    Example: benchyard worker down ~/worker
    """
    from benchyard import daemon
    from benchyard.cli.output import print_json
    from benchyard.tasks.runner import active_runs

    directory, settings, lock = _open(directory)
    ran = daemon.running(lock) is not None
    if not daemon.stop(lock, 60.0):
        raise click.ClickException(f"the worker in {directory} has not stopped within 60 s")
    state = directory / settings["state_dir"]
    runs = active_runs(state)
    _mend(state)
    if as_json:
        print_json({"name": settings["name"], "was_running": ran, "runs": list(runs)})
        return
    click.echo(f"worker {settings['name']} is down" if ran else f"worker {settings['name']} was not running")
    for run in runs:
        click.echo(f"run {run} goes on; stop it with `benchyard task stop {run} --state {state}`")


@worker.command()
@DIR
@JSON
def status(directory: Path, as_json: bool) -> int:
    """Tell whether a worker runs, and what it measures; exit status 1 if it does not run.

    Example: benchyard worker status ~/worker
    """
    from benchyard import daemon
    from benchyard.cli.output import print_fields, print_json
    from benchyard.tasks.runner import active_runs

    directory, settings, lock = _open(directory)
    pid, runs = daemon.running(lock), active_runs(directory / settings["state_dir"])
    if as_json:
        print_json({"name": settings["name"], "pid": pid, "runs": list(runs)})
    else:
        master = f"{settings['master_host']}:{settings['master_port']}"
        state = "running" if pid else "not running"
        print_fields(
            (
                ("worker", settings["name"]),
                ("state", state),
                ("process", pid),
                ("master", master),
                ("runs", ", ".join(runs)),
            )
        )
    return 0 if pid else 1


def _open(directory: Path) -> tuple[Path, dict[str, Any], Path]:
    directory = directory.absolute()
    path = directory / "worker.toml"
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise click.ClickException(f"no worker in {directory}; make one with `benchyard worker init URL`") from exc
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise click.ClickException(f"{path} cannot be read: {exc}") from exc
    return directory, settings, directory / "run" / "worker.lock"
