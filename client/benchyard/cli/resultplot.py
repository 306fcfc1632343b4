"""`benchyard result plot`: pictures of comparisons, of one benchmark in them, and of series."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from benchyard.cli import complete
from benchyard.cli.listing import since_option
from benchyard.cli.options import connect, flags_option, host_option, lab_options, target_option
from benchyard.cli.resultcompare import as_file

if TYPE_CHECKING:
    from benchyard.client import Client

Kind = Literal["svg", "png"]


@click.command("plot")
@click.argument("base", metavar="[BASE", required=False, shell_complete=complete.selectors)
@click.argument("head", metavar="HEAD]", required=False, shell_complete=complete.selectors)
@click.option("--benchmark", metavar="NAME", help="The values of this benchmark, or its series.")
@click.option("--mean", is_flag=True, help="The series of the geometric mean.")
@host_option("Series on this host.")
@target_option("Series on this target.")
@click.option("--branch", metavar="BRANCH", help="Series of this branch.")
@flags_option("Series with these flags (jit, nogil ...), or `none`.")
@since_option
@click.option("--single", is_flag=True, help="The newest result of an interpreter, not all of them together.")
@click.option("--include-different", is_flag=True, help="Count what differs in more than the interpreter.")
@click.option("--dark", is_flag=True, help="A PNG for dark pages; an SVG is for both.")
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to: a name with .svg or .png, or -.")
@click.option("--kind", type=click.Choice(["svg", "png"]), help="Which, where the name does not say it.")
@lab_options
def plot(
    base: str | None,
    head: str | None,
    benchmark: str | None,
    mean: bool,
    host: str | None,
    target: str | None,
    branch: str | None,
    flags: tuple[str, ...] | None,
    since: datetime | None,
    single: bool,
    include_different: bool,
    dark: bool,
    output: str,
    kind: Kind | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Draw a comparison, or with --benchmark the values of one in it; without BASE and HEAD, draw series.

    Results are named as for `benchyard result compare`, series are chosen as for `benchyard result series`.

    Example: benchyard result plot v3.14.0 main -o comparison.svg
    """
    from benchyard.cli.output import say

    chosen = kind or _kind_of(output)
    if (base is None) != (head is None):
        raise click.UsageError("name a base and a head, or neither for a series")
    if base is None and (benchmark is None) != mean:
        raise click.UsageError("name a base and a head; or for a series, --benchmark NAME or --mean")
    if base is not None and (mean or host or target or branch or flags is not None or since):
        raise click.UsageError("--mean, --host, --target, --branch, --flags and --since are for series")
    with connect(url) as client:
        if base is not None and head is not None:
            how: dict[str, Any] = {"single": single, "include_different": include_different, "dark": dark}
            data = _compared(client, chosen, base, head, benchmark=benchmark, **how)
        else:
            lanes: dict[str, Any] = {"host": host, "target": target, "branch": branch, "flags": flags, "since": since}
            data = client.series.draw(chosen, benchmark, dark=dark, **lanes)
    if output == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        Path(output).write_bytes(data)
    except OSError as exc:
        raise click.ClickException(f"{output} cannot be written: {exc.strerror}") from exc
    say(f"{output}: {len(data)} bytes", {"path": output, "bytes": len(data)}, as_json)


def _compared(client: "Client", kind: Kind, base: str, head: str, **how: Any) -> bytes:
    try:
        return client.results.draw(kind, as_file(base) or base, as_file(head) or head, **how)
    except OSError as exc:
        raise click.ClickException(f"{exc.filename} cannot be read: {exc.strerror}") from exc


def _kind_of(output: str) -> Kind:
    match Path(output).suffix.lower():
        case ".svg":
            return "svg"
        case ".png":
            return "png"
    raise click.UsageError("a picture is .svg or .png: say so in the file's name, or with --kind")
