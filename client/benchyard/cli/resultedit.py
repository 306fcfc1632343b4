"""The commands of `benchyard result` that add, change and remove results."""

import contextlib
from typing import Any, BinaryIO

import click

from benchyard.cli.asking import confirm, yes_option
from benchyard.cli.options import connect, find_result, host_option, lab_options, result_argument, target_option


@click.command("add")
@click.argument("file", type=click.File("rb"), metavar="[FILE|-]", required=False)
@host_option("Where it was measured.", required=True)
@target_option("What that host is; its own target by default.")
@click.option("--commit", metavar="COMMIT", help="The commit of the interpreter.")
@click.option("--branch", metavar="BRANCH", help="The branch of the interpreter.")
@lab_options
def add_result(
    file: BinaryIO | None,
    host: str,
    target: str | None,
    commit: str | None,
    branch: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Make a result of a pyperf JSON file that the lab did not measure.

    Without FILE the result has none yet; `benchyard result write` attaches it.

    Example: benchyard result add main.json --host quiet-1 --commit 1a2b3c4d --branch main
    """
    from benchyard.cli.output import say
    from benchyard.client import ClientError

    data = _read(file) if file else None
    with connect(url) as client:
        result = client.results.add(host, target=target, commit=commit, branch=branch)
        if data is not None:
            try:
                result = result.write(data)
            except BaseException:
                # A result without the file that it was made for is of no use to anybody.
                with contextlib.suppress(ClientError):
                    result.remove()
                raise
    said = f"{result.benchmarks} benchmarks of {result.version}" if result.path else "no file yet"
    say(f"result {result.id}: {said}", result.document, as_json)


@click.command("write")
@result_argument()
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@lab_options
def write_result(result: str | int, file: BinaryIO, url: str | None, as_json: bool) -> None:
    """Attach the pyperf JSON file of a result, once: the same bytes again change nothing, others are refused.

    Example: benchyard result write 7 main.json
    """
    from benchyard.cli.output import say

    data = _read(file)
    with connect(url) as client:
        found = find_result(client, result).write(data)
    say(f"result {found.id}: {found.size} bytes in {found.path}", found.document, as_json)


@click.command("modify")
@result_argument()
@click.option("--commit", metavar="COMMIT", help="The commit of the interpreter.")
@click.option("--branch", metavar="BRANCH", help="The branch of the interpreter.")
@click.option("--note", metavar="TEXT", help="A note for those who see the result.")
@lab_options
def modify_result(
    result: str | int, commit: str | None, branch: str | None, note: str | None, url: str | None, as_json: bool
) -> None:
    """Change what the lab's index says of a result; its file never changes.

    Example: benchyard result modify 7 --note "before the new fan"
    """
    from benchyard.cli.output import say

    given = {"commit": commit, "branch": branch, "note": note}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError("say what to change, like --note TEXT")
    with connect(url) as client:
        found = find_result(client, result).modify(**changes)
    say(f"result {found.id}: changed ({', '.join(changes)})", found.document, as_json)


@click.command("enable")
@result_argument()
@lab_options
def enable_result(result: str | int, url: str | None, as_json: bool) -> None:
    """Let a result take part in comparisons again, and publish it again where it was.

    Example: benchyard result enable 7
    """
    from benchyard.cli.output import say

    with connect(url) as client:
        found = find_result(client, result).enable()
    say(f"result {found.id}: enabled", found.document, as_json)


@click.command("disable")
@result_argument()
@lab_options
def disable_result(result: str | int, url: str | None, as_json: bool) -> None:
    """Leave a result out of comparisons, series and uploads; where it was published, it is taken back if that can be.

    Example: benchyard result disable 7
    """
    from benchyard.cli.output import say

    with connect(url) as client:
        found = find_result(client, result).disable()
    say(f"result {found.id}: disabled", found.document, as_json)


@click.command("remove")
@result_argument()
@yes_option
@lab_options
def remove_result(result: str | int, yes: bool, url: str | None, as_json: bool) -> None:
    """Put a result and its file into the lab's trash, where they are kept for some months.

    Example: benchyard result remove 7 --yes
    """
    from benchyard.cli.output import say

    with connect(url) as client:
        found = find_result(client, result)
        confirm(f"Remove result {found.id} ({found.version or 'no file'} on {found.host})?", yes)
        found.remove()
    say(f"result {found.id}: removed", {"id": found.id, "status": "trashed"}, as_json)


def _read(file: BinaryIO) -> bytes:
    try:
        return file.read()
    except OSError as exc:
        raise click.ClickException(f"{file.name} cannot be read: {exc.strerror}") from exc


COMMANDS = (add_result, write_result, modify_result, enable_result, disable_result, remove_result)
