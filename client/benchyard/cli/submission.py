"""The options of the command line that describe a job, for all commands that make one."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from benchyard.cli.options import host_option, target_option

if TYPE_CHECKING:
    from benchyard.client import Client, Job

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_KIND = "benchmarks"

#: Options that say what to build, and so do not go with --python.
_BUILDING = ("ref", "remote", "branch", "patch", "flags", "configure_args", "also_base", "again", "strict")


@dataclass(frozen=True)
class Submission:
    """A job as the options of the command line describe it: the arguments of `client.jobs.add`."""

    arguments: dict[str, Any]

    def send(self, client: "Client", *, run: bool, **more: Any) -> "Job":
        """Make the job, and queue it if it is to run."""
        return client.jobs.add(**self.arguments, run=run, **more)


def submission_options(command: F) -> F:
    """Give a command the options that describe a job, which it gets as one argument, `asked`, and --no-run."""

    @wraps(command)
    def with_submission(*args: Any, fast: bool, rigorous: bool, **others: Any) -> Any:
        if fast and rigorous:
            raise click.UsageError("--fast and --rigorous exclude each other")
        asked = {name: others.pop(name) for name in _NAMES}
        for name in ("affinity", "host", "target", "ref", "remote", "branch", "suite", "kind"):
            if asked[name] is not None and not asked[name].strip():
                raise click.BadParameter(
                    "it is empty; leave the option out to let the lab choose", param_hint=f"--{name}"
                )
        python = asked["python"]
        building = [name for name in _BUILDING if asked[name]]
        if python is not None and building:
            option = building[0].rstrip("s").replace("_", "-") if building[0] != "again" else "again"
            raise click.UsageError(f"--{option} is for an interpreter that is built: give --ref instead of --python")
        named = any(asked[name] for name in ("ref", "remote", "branch", "patch"))
        if python is None and not named and others.get("commits") is None and asked["kind"] == DEFAULT_KIND:
            raise click.UsageError("say which interpreter: --python PATH on the host, or --ref REF to build one")
        asked |= {
            "python": interpreter_path(python) if python is not None else None,
            "patch": read_patch(asked["patch"]) if asked["patch"] is not None else None,
            "flags": [flag for text in asked["flags"] for flag in text.replace(",", " ").split()],
            "benchmarks": split_selections(asked["benchmarks"]),
            "mode": "fast" if fast else "rigorous" if rigorous else "default",
        }
        return command(*args, asked=Submission(asked), **others)

    for option in reversed(_OPTIONS):
        with_submission = option(with_submission)
    return cast(F, with_submission)


_NAMES = (
    *("kind", "python", "ref", "remote", "branch", "patch", "flags", "configure_args", "also_base", "again", "strict"),
    *("upload", "target", "host", "suite", "benchmarks", "same_loops", "affinity", "reason"),
)

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--kind",
        metavar="KIND",
        default=DEFAULT_KIND,
        show_default=True,
        help="Another kind of job: memory, profile, calibrate, or what the lab has more.",
    ),
    click.option("--python", metavar="PATH", help="The interpreter, as its path on the host."),
    click.option("--ref", metavar="REF", help="Build this branch, tag or commit instead."),
    click.option("--remote", metavar="NAME", help="Build it from this remote, fork's owner, or URL."),
    click.option("--branch", metavar="BRANCH", help="Build the tip of this branch; with --ref, a commit on it."),
    click.option("--patch", metavar="FILE", help="Build with this diff on top; - reads it from here."),
    click.option(
        "--flag", "flags", multiple=True, metavar="FLAG,...", help="pgo, lto, jit, nogil, tailcall, debug, bolt."
    ),
    click.option(
        "--configure-arg", "configure_args", multiple=True, metavar="ARG", help="More for configure; admins only."
    ),
    click.option("--also-base", is_flag=True, help="Measure what it is based on too, and compare with that."),
    click.option("--again", is_flag=True, help="Measure, even if just this was measured already."),
    click.option("--strict", is_flag=True, help="Fail the job if any benchmark does not run at all."),
    click.option("--upload", is_flag=True, help="Publish the result wherever it may be."),
    target_option("Where to measure, like linux-x86_64."),
    host_option("Measure on this host."),
    click.option("--benchmarks", metavar="A,-B", multiple=True, help="Benchmarks and groups; -NAME leaves one out."),
    click.option("--suite", metavar="NAME", help="Measure the benchmarks of this suite of the lab's settings."),
    click.option(
        "--same-loops", type=int, metavar="RESULT", help="Take loop counts from this result instead of calibrating."
    ),
    click.option("--fast", is_flag=True, help="Fewer runs, for a first look."),
    click.option("--rigorous", is_flag=True, help="More runs."),
    click.option("--affinity", metavar="LIST", help="CPUs to measure on, like 2-3; the host's own by default."),
    click.option("--reason", metavar="TEXT", help="Why, for those who see the job."),
    click.option("--no-run", is_flag=True, help="Make the job without queueing it."),
)


def read_patch(name: str) -> str:
    """Return the text of a patch's file, or of what is piped in."""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8")
    except OSError as exc:
        raise click.BadParameter(f"{name!r} cannot be read: {exc.strerror}", param_hint="--patch") from exc
    except UnicodeDecodeError as exc:
        raise click.BadParameter(f"{name!r} is not text; make it with `git diff`", param_hint="--patch") from exc


def split_selections(texts: tuple[str, ...]) -> list[str]:
    """Return the selections of "A,-B" texts one by one, as the lab wants them.

    A text without any is refused: an unset variable of a script would otherwise mean hours of the whole suite.
    """
    selections = [[part.strip() for part in text.split(",") if part.strip()] for text in texts]
    if not all(selections):
        raise click.BadParameter("it names no benchmark; say `default` for the default ones", param_hint="--benchmarks")
    return [selection for parts in selections for selection in parts]


def interpreter_path(path: str) -> str:
    """Return an absolute path: a bare name would mean another interpreter on each host."""
    if os.sep not in path:
        raise click.BadParameter(f"{path!r} is not a path; give the absolute one", param_hint="--python")
    # Links stay: which interpreter they lead to is for the host to say, it may be another machine.
    return os.path.abspath(path)  # noqa: PTH100
