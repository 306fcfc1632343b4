"""`benchyard lab`: make, start, look at and stop a lab on this host."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from benchyard.cli.labcare import COMMANDS
from benchyard.cli.labshared import DIR, JSON, aside, lab_errors

if TYPE_CHECKING:
    from benchyard.lab.health import Health


@click.group()
def lab() -> None:
    """Make, start and stop a lab on this host; DIR is its folder, `lab` if not named."""


for command in COMMANDS:
    lab.add_command(command)


@lab.command()
@DIR
@click.option("--title", default="benchyard", show_default=True, help="What the web pages are headed.")
@click.option("--listen", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--http-port", type=click.IntRange(1, 65535), help="Default: 8010, or the next free one.")
@click.option("--worker-port", type=click.IntRange(1, 65535), help="Default: 9989, or the next free one.")
@click.option("--no-isolated", is_flag=True, help="Do not measure on this host; isolated hosts join later.")
@click.option("--cpus", metavar="LIST", help="CPUs to measure on, such as 2-3 (default: the last).")
@click.option(
    "--db-url",
    metavar="URL",
    help="An empty PostgreSQL database (default: SQLite): postgresql+psycopg://user@host/name.",
)
@JSON
def init(
    directory: Path,
    title: str,
    listen: str,
    http_port: int | None,
    worker_port: int | None,
    no_isolated: bool,
    cpus: str | None,
    db_url: str | None,
    as_json: bool,
) -> None:
    """Make a lab: a master, a regular worker, an isolated worker, and you as its admin.

    Example: benchyard lab init ~/lab
    """
    from benchyard.cli.output import print_json
    from benchyard.client.config import load_config, save_login
    from benchyard.client.errors import ConfigError
    from benchyard.lab.init import ADMIN, PASSWORD_FILE, LabOptions, init_lab
    from benchyard.tasks.cpus import check_cpus, format_cpu_list, parse_cpu_list
    from benchyard.tasks.errors import CpuListError

    try:
        chosen = check_cpus(parse_cpu_list(cpus)) if cpus else None
    except CpuListError as exc:
        raise click.UsageError(f"--cpus: {exc}") from exc
    options = LabOptions(
        title=title,
        listen=listen,
        http_port=http_port,
        worker_port=worker_port,
        isolated=not no_isolated,
        cpus=chosen,
        db_url=db_url,
    )
    try:
        # Before anything is made: a configuration that cannot be read could not take the new token.
        before = load_config()
    except ConfigError as exc:
        raise click.ClickException(str(exc)) from exc
    with lab_errors():
        new = init_lab(directory, options)
    try:
        saved = save_login(new.url, ADMIN, new.token)
    except ConfigError as exc:
        remedy = f"after `benchyard lab up` log in with `benchyard login {new.url} --user {ADMIN}`"
        raise click.ClickException(f"the lab in {new.root} is made, but {exc}; {remedy}") from exc
    if (old := before.logins.get(saved.url)) and old.token:
        whose = f" of {old.user}" if old.user else ""
        click.echo(f"The token{whose} that you had for another lab at {saved.url} is replaced by this lab's.", err=True)
    password_file = new.root / "secrets" / PASSWORD_FILE
    if as_json:
        made = {"root": str(new.root), "url": saved.url, "target": new.target, "isolated": new.isolated}
        cpu_list = format_cpu_list(new.measuring) if new.isolated else ""
        print_json({**made, "cpus": cpu_list, "user": ADMIN, "password_file": str(password_file)})
        return
    click.echo(f"lab       {new.root}")
    click.echo(f"target    {new.target}")
    if new.isolated is None:
        click.echo("measures  nothing yet: join an isolated host with `benchyard worker init URL` there")
    else:
        click.echo(f"measures  on host {new.isolated}, CPU {format_cpu_list(new.measuring)}")
        if set(new.measuring) & set(new.housekeeping):
            click.echo("          and so does everything else, as this machine has no other: expect noise")
    click.echo(f"web       {new.url}  user {ADMIN}, password in {password_file}")
    instead = f" (and no longer to {before.default})" if before.default not in (None, saved.url) else ""
    click.echo(f"commands  from here on go to this lab{instead}, unless told another by --url")
    click.echo(f"start it  benchyard lab up {shlex.quote(str(directory))}")


@lab.command()
@DIR
@click.option("--detach", is_flag=True, help="Come back when it works, and leave it running.")
@JSON
def up(directory: Path, detach: bool, as_json: bool) -> None:
    """Start a lab; without --detach until Ctrl-C.

    Example: benchyard lab up ~/lab --detach
    """
    from benchyard.lab.run import run, run_detached

    if as_json and not detach:
        raise click.UsageError("--json goes with --detach: without it there is no end to print")
    with lab_errors():
        if as_json:
            _print(run_detached(directory, aside))
        elif detach:
            _show(run_detached(directory, click.echo))
            click.echo(f"stop it   benchyard lab down {shlex.quote(str(directory))}")
        else:
            run(directory, click.echo)


@lab.command()
@DIR
@click.option("--keep-runs", is_flag=True, help="Leave measurements running; the lab finds them at its next start.")
@JSON
def down(directory: Path, keep_runs: bool, as_json: bool) -> None:
    """Stop a lab with all it started.

    Example: benchyard lab down ~/lab
    """
    from benchyard.cli.output import say
    from benchyard.lab.run import stop

    with lab_errors():
        ran = stop(directory, aside if as_json else click.echo, keep_runs=keep_runs)
    say("the lab is down" if ran else "the lab was not running", {"was_running": ran}, as_json)


@lab.command()
@DIR
@JSON
def status(directory: Path, as_json: bool) -> int:
    """Tell whether a lab is healthy; exit status 1 if it is not.

    A lab that strangers may not read (`anonymous_read = false`) tells its hosts, jobs and stale lanes to those who have
    logged in with `benchyard login`.

    Example: benchyard lab status ~/lab
    """
    from benchyard.config.settings import SettingsError, load_settings
    from benchyard.lab.health import look
    from benchyard.lab.paths import LabPaths

    paths = LabPaths(directory.absolute())
    try:
        settings = load_settings(paths.root)
        health = look(paths, settings, _token(settings.lab.url))
    except SettingsError as exc:
        raise click.ClickException(str(exc)) from exc
    if as_json:
        _print(health)
    else:
        _show(health)
    return 0 if health.ok else 1


def _token(url: str) -> str | None:
    """The token of who has logged in to the lab, None where nobody has."""
    from benchyard.client.config import load_login
    from benchyard.client.errors import ConfigError

    try:
        return load_login(url).token
    except ConfigError:
        return None


@lab.command()
@click.argument("name")
@DIR
@click.option("--file", type=click.File("r"), metavar="FILE|-", help="Read it from a file, - for stdin.")
@JSON
def secret(name: str, directory: Path, file: TextIO | None, as_json: bool) -> None:
    """Keep a secret for a lab, which is asked for or read from a file.

    publish-NAME is that of [publish.NAME], notify-NAME that of [notify.NAME]. It is used from the next upload or mail
    on; those of a notifier of kind "reporter" are read once, when the lab starts: start it anew.

    Example: benchyard lab secret publish-speed ~/lab
    """
    from benchyard.cli.asking import read_secret
    from benchyard.cli.output import say
    from benchyard.lab.secrets import keep_secret

    with lab_errors():
        path = keep_secret(directory, name, lambda: read_secret("Secret", file, "--file", twice=True))
    say(f"secret {name}: kept in {path}", {"name": name, "path": str(path)}, as_json)


def _print(health: "Health") -> None:
    from benchyard.cli.output import print_json

    state = {"healthy": health.ok, "url": health.url, "pid": health.pid}
    counts = {"jobs": health.jobs, "uploads": health.uploads}
    print_json({**state, "hosts": health.hosts, **counts, "stale": health.stale})


def _show(health: "Health") -> None:
    from benchyard.cli.output import print_fields

    open_jobs = ", ".join(f"{count} {status}" for status, count in health.jobs.items() if count)
    print_fields(
        (
            ("lab", "healthy" if health.ok else f"not healthy: {health.trouble()}"),
            ("web", health.url),
            ("process", health.pid),
            ("hosts", ", ".join(f"{n} {'online' if up else 'offline'}" for n, up in health.hosts.items())),
            ("jobs", open_jobs),
            ("uploads", ", ".join(f"{count} {state}" for state, count in health.uploads.items() if count)),
            *(("stale", one["text"]) for one in health.stale),
        )
    )
