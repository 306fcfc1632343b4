"""What the commands that talk to a lab share: --url and --json, the connection, names of jobs, results and others."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from benchyard.cli import complete
from benchyard.cli.format import clean, duration

if TYPE_CHECKING:  # httpx takes longer to import than most commands take to run
    from benchyard.client import BenchmarkResult, Client, ClientError, Job

F = TypeVar("F", bound=Callable[..., Any])

LONGEST_NUMBER = 18
"""Digits; longer numbers are no ids, as they do not fit a database's integer."""


def lab_options(command: F) -> F:
    """Give a command --url, which may also stand before the command's name, and --json."""
    with_json = click.option("--json", "as_json", is_flag=True, help="Print the server's JSON, one document.")
    with_url = click.option("--url", metavar="URL", help="The lab to talk to.")
    return with_url(with_json(command))


@contextmanager
def connect(url: str | None) -> "Iterator[Client]":
    """Connect to the lab that the command line, the environment or the configuration names.

    What goes wrong with the lab inside the block ends the command with one line that says what to do.
    """
    from benchyard.client import Client, ClientError

    chosen = url or click.get_current_context().find_root().params.get("url")
    try:
        with Client(chosen) as client:
            yield client
    except ClientError as exc:
        raise click.ClickException(explain(exc)) from exc


def explain(error: "ClientError") -> str:
    """Return the error in one line, with the remedy where there is one on the command line."""
    from benchyard.client import Invalid, TooMany, Unauthorized, Unavailable

    message = clean(str(error))
    if isinstance(error, Invalid) and error.field and not message.startswith(f"{error.field}:"):
        return f"{clean(error.field)}: {message}"
    if isinstance(error, Unauthorized) and "log in" not in message:
        return f"{message}; log in with `benchyard login URL`"
    if isinstance(error, TooMany) and error.retry_after:
        return f"{message}; try again in {duration(error.retry_after)}"
    if isinstance(error, Unavailable) and error.status is None and message.startswith("no lab answers"):
        return f"{message}; start it with `benchyard lab up` or name another with --url"
    if isinstance(error, Unavailable):
        return f"{message}; try again in a while"
    return message


JOB_WORDS = ("current", "last")


def entity_name(kind: str, words: tuple[str, ...]) -> Callable[[str | int], str | int]:
    """Make the reader of the number of a job or result, or of one of the words that stand for one."""

    def convert(value: str | int) -> str | int:
        if isinstance(value, int) or value in words:
            return value
        if value.isascii() and value.isdigit() and len(value) <= LONGEST_NUMBER:
            return int(value)
        raise click.BadParameter(f"{value!r} is not the number of a {kind}, nor {' nor '.join(words)}")

    return convert


def job_argument(command: F) -> F:
    """Give a command the argument JOB: a number, `current` or `last`."""
    kind = entity_name("job", JOB_WORDS)
    return click.argument("job", metavar="JOB", type=kind, shell_complete=complete.jobs)(command)


def job_option(help: str) -> Callable[[F], F]:
    """Make the option --job, which takes what the argument JOB takes."""
    kind = entity_name("job", JOB_WORDS)
    return click.option("--job", metavar="JOB", type=kind, shell_complete=complete.jobs, help=help)


def result_argument(name: str = "result") -> Callable[[F], F]:
    """Give a command the argument RESULT: a number or `last`."""
    kind = entity_name("result", ("last",))
    return click.argument(name, metavar=name.upper(), type=kind, shell_complete=complete.results)


def host_argument(command: F) -> F:
    """Give a command the argument HOST."""
    return click.argument("host", metavar="HOST", shell_complete=complete.hosts)(command)


def user_argument(command: F) -> F:
    """Give a command the argument USER."""
    return click.argument("user", metavar="USER", shell_complete=complete.users)(command)


def own_user_argument(command: F) -> F:
    """Give a command the argument USER, which is oneself if it is not named."""
    return click.argument("user", metavar="[USER]", default="me", shell_complete=complete.users)(command)


def target_argument(command: F) -> F:
    """Give a command the argument TARGET, which may be left out in a lab with one target."""
    return click.argument("target", metavar="[TARGET]", required=False, shell_complete=complete.targets)(command)


def target_option(help: str) -> Callable[[F], F]:
    """Make the option --target."""
    return click.option("--target", metavar="TARGET", help=help, shell_complete=complete.targets)


def host_option(help: str, *, required: bool = False) -> Callable[[F], F]:
    """Make the option --host."""
    return click.option("--host", metavar="HOST", required=required, help=help, shell_complete=complete.hosts)


def flags_option(help: str) -> Callable[[F], F]:
    """Make the option --flags of what results were measured with: None where it is not said, () for `none`."""

    def split(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
        return None if value is None else tuple(flag for flag in value.split(",") if flag not in ("", "none"))

    return click.option("--flags", metavar="A,B,...", callback=split, help=help)


def find_job(client: "Client", name: str | int) -> "Job":
    """Return the job of this number; `last` is the newest, `current` the one that the lab is busy with."""
    if isinstance(name, int):
        return client.jobs.get(name)
    if name == "last":
        for job in client.jobs.list(limit=1):
            return job
        raise click.ClickException("the lab has no job yet; make one with `benchyard submit`")
    jobs = client.jobs.current
    if len(jobs) == 1:
        return jobs[0]
    if not jobs:
        raise click.ClickException("no job is current; see `benchyard job list`")
    numbers = ", ".join(str(job.id) for job in jobs)
    raise click.ClickException(f"{len(jobs)} jobs are current ({numbers}); name one by its number")


def job_number(client: "Client", name: str | int) -> int:
    """Return the number of a job, asking the lab only for what is not one already."""
    return name if isinstance(name, int) else find_job(client, name).id


def find_result(client: "Client", name: str | int) -> "BenchmarkResult":
    """Return the result of this number; `last` is the newest one."""
    if isinstance(name, int):
        return client.results.get(name)
    for result in client.results.list(limit=1):
        return result
    raise click.ClickException("the lab has no result yet; make one with `benchyard submit`")
