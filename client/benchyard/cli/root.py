"""The root of the command line: its commands, and `main`, where errors become one line and a status."""

import sys
from collections.abc import Sequence

import click

from benchyard.cli.lazy import LazyCommand, LazyGroup

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

COMMANDS = {
    "login": LazyCommand("benchyard.cli.login:login", "Keep the token of a lab in your configuration."),
    "submit": LazyCommand("benchyard.cli.submit:submit", "Ask for a measurement: make a job and queue it."),
    "job": LazyCommand("benchyard.cli.job:jobs", "List, watch, make, change, run and cancel jobs."),
    "queue": LazyCommand("benchyard.cli.queue:queues", "Show, order and pause what waits for each target."),
    "result": LazyCommand("benchyard.cli.result:results", "List, add, read, change and compare results."),
    "host": LazyCommand("benchyard.cli.host:hosts", "List, add, change and look after the machines of a lab."),
    "user": LazyCommand("benchyard.cli.user:users", "List, add and change users and their tokens."),
    "notice": LazyCommand("benchyard.cli.notice:notices", "Read what the lab has told people."),
    "lab": LazyCommand("benchyard.cli.lab:lab", "Make, start and stop a lab on this host.", extra="master"),
    "worker": LazyCommand("benchyard.cli.worker:worker", "Join this host to a lab as a worker.", extra="worker"),
    "task": LazyCommand("benchyard.cli.task:task", "Measure on this host, no lab needed.", extra="tasks"),
    "completion": LazyCommand("benchyard.cli.completion:completion", "Print the completion script of a shell."),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option("--url", metavar="URL", help="The lab to talk to (default: $BENCHYARD_URL, then the last login).")
@click.version_option(package_name="benchyard", prog_name="benchyard", message="%(prog)s %(version)s")
def benchyard(url: str | None) -> None:
    """Queue benchmarks of Python interpreters, measure them on quiet hosts, compare the results.

    The token for the lab is that of the last `benchyard login` there. $BENCHYARD_TOKEN, where it is set, counts
    instead; where $BENCHYARD_URL is, too, for that lab alone.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.

    Errors are one line on stderr, "benchyard: ..." with the remedy; only a fault of benchyard's own shows a
    traceback.
    """
    # httpx would bring its own command line along, which takes as long to import as all that is needed of it.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    try:
        status = benchyard.main(args=None if argv is None else list(argv), prog_name="benchyard", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.format_message(), err=True)
        return WRONG_USAGE
    except click.UsageError as exc:
        return _report(_with_hint(exc), WRONG_USAGE)
    except click.ClickException as exc:
        return _report(exc.format_message(), exc.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _report("interrupted", INTERRUPTED)
    except UnicodeEncodeError:
        # Python reads bytes that are no UTF-8 as lone surrogates, which cannot be sent.
        text = _undecoded(sys.argv[1:] if argv is None else argv)
        if text is None:
            raise
        return _report(f"the argument {text} is not UTF-8 text", WRONG_USAGE)
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted; without this Python complains again at exit.
        sys.stdout = None
        return FAILED
    return status if isinstance(status, int) else DONE


def _undecoded(argv: Sequence[str]) -> str | None:
    """Return the first argument that is no text, in ASCII, or None."""
    for text in argv:
        data = text.encode("utf-8", "surrogateescape")
        if data.decode("utf-8", "replace").encode() != data:
            return repr(data)[1:]
    return None


def _with_hint(error: click.UsageError) -> str:
    message = error.format_message()
    path = error.ctx.command_path if error.ctx else "benchyard"
    return f"{message.rstrip('.')} (see `{path} --help`)"


def _report(message: str, status: int) -> int:
    click.echo(f"benchyard: {message}", err=True)
    return status
