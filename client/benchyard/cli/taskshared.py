"""What the commands of `benchyard task` share: their errors, the host's state directory, and how they speak."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from benchyard.tasks.host.topology import Split
    from benchyard.tasks.suite import Suite

Function = Callable[..., Any]


@contextmanager
def task_errors() -> Iterator[None]:
    """Turn the errors of tasks into the command line's: status 2 for what was typed wrong, else 1."""
    from benchyard.tasks.errors import CpuListError, OptionError, RecipeError, RunNameError, SelectionError, TaskError
    from benchyard.tasks.files import is_full

    try:
        yield
    except OSError as exc:
        if not is_full(exc):
            raise
        where = f" of {exc.filename}" if exc.filename else ""
        raise click.ClickException(f"the disk{where} is full ({exc.strerror}): make room, and try again") from exc
    except (CpuListError, OptionError, RecipeError, RunNameError, SelectionError) as exc:
        raise click.UsageError(str(exc), ctx=click.get_current_context()) from exc
    except TaskError as exc:
        raise click.ClickException(str(exc)) from exc


def state_option(*, required: bool) -> Callable[[Function], Function]:
    """Make the option --state."""
    return click.option(
        "--state",
        required=required,
        envvar="BENCHYARD_STATE",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where this host keeps its lock and its runs (default: $BENCHYARD_STATE).",
    )


def cache_folder(name: str) -> Path:
    """Where this host, or this user, keeps environments, interpreters and sources between commands."""
    state = os.environ.get("BENCHYARD_STATE")
    if state:
        return Path(state) / name
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "benchyard" / name


def say_on(err: bool) -> Callable[[str], None]:
    """A function that prints a line at once."""

    def say(line: str) -> None:
        click.echo(line, err=err)
        (sys.stderr if err else sys.stdout).flush()

    return say


def split_of(cpus: str | None, root: Path = Path("/")) -> "Split":
    """Who measures and who keeps house on this host: the CPUs of a list measure, or those that are chosen."""
    from benchyard.tasks.cpus import online_cpus, parse_cpu_list
    from benchyard.tasks.host.topology import choose_cpus, read_topology

    available = online_cpus(root / "sys/devices/system/cpu/online")
    return choose_cpus(read_topology(root), available=available, asked=None if cpus is None else parse_cpu_list(cpus))


def suite_of(folder: Path | None) -> "Suite":
    """The suite in a directory, or the installed one."""
    from benchyard.tasks.suite import installed_suite, open_suite

    return installed_suite() if folder is None else open_suite(folder)


interpreters_option = click.option(
    "--interpreters",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where built interpreters are kept (default: in $BENCHYARD_STATE, else in your cache directory).",
)

environments_option = click.option(
    "--environments",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where environments are kept (default: in $BENCHYARD_STATE, else in your cache directory).",
)

benchmarks_option = click.option(
    "--benchmarks",
    multiple=True,
    metavar="SEL,-SEL",
    help="Benchmarks, groups or tags; with - in front: not these. Default: the suite's default group.",
)

suite_option = click.option(
    "--suite",
    "suite_folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="The suite's directory, see `benchyard task make-suite`; default: the installed pyperformance.",
)

wheels_option = click.option(
    "--wheels",
    type=click.Path(file_okay=False, path_type=Path),
    help="Install from this wheelhouse alone, see `benchyard task make-wheels`.",
)
