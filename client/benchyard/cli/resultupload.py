"""The commands of `benchyard result` that publish: upload, uploads and destinations."""

from typing import TYPE_CHECKING

import click

from benchyard.cli import complete
from benchyard.cli.format import clean, local_time
from benchyard.cli.listing import Field, Listing, list_options, whole_list_options
from benchyard.cli.options import connect, entity_name, find_result, lab_options

if TYPE_CHECKING:
    from benchyard.client import Destination, Upload

OUTSTANDING = ("pending", "refused", "failed")

STATES = (*OUTSTANDING, "sent", "all")


@click.command("upload")
@click.argument(
    "result",
    metavar="[RESULT]",
    required=False,
    type=entity_name("result", ("last",)),
    shell_complete=complete.results,
)
@click.option(
    "--to",
    "destinations",
    multiple=True,
    metavar="NAME",
    shell_complete=complete.destinations,
    help="Only there; several times for several.",
)
@click.option("--again", is_flag=True, help="Also where it is already; what waits is tried now.")
@click.option("--wait", "waited", is_flag=True, help="Return when all have answered.")
@click.option("--retry", is_flag=True, help="Ask again for all results that were refused or have failed.")
@lab_options
def upload_result(
    result: str | int | None,
    destinations: tuple[str, ...],
    again: bool,
    waited: bool,
    retry: bool,
    url: str | None,
    as_json: bool,
) -> None:
    """Publish a result at the lab's destinations, wherever it may be.

    The lab sends it, now or when the destination is there again. With --wait the exit status is 1 if one refuses it.

    Example: benchyard result upload last --to speed --wait
    """
    from benchyard.cli.output import print_json

    if retry == (result is not None):
        raise click.UsageError("name a RESULT, or --retry all that were refused or have failed; not both")
    if retry and (again or len(destinations) > 1):
        raise click.UsageError("with --retry goes one --to, and no --again")
    with connect(url) as client:
        if result is None:
            filed = client.uploads.retry(*destinations)
        else:
            filed = find_result(client, result).upload(destinations=destinations, again=again)
        if waited:
            filed = client.uploads.wait(filed, on_change=_tell_trouble)
    if as_json:
        print_json({"items": [upload.document for upload in filed]})
    else:
        if not filed:
            click.echo("nothing was refused or has failed")
        for upload in filed:
            click.echo(clean(told(upload)))
    if waited and any(upload.state != "sent" for upload in filed):
        click.get_current_context().exit(1)


@click.command("uploads")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES),
    help="In this state, or all. Default: what is outstanding: pending, refused and failed.",
)
@click.option("--to", "destination", metavar="NAME", shell_complete=complete.destinations, help="To this destination.")
@click.option(
    "--result",
    metavar="RESULT",
    type=entity_name("result", ("last",)),
    shell_complete=complete.results,
    help="Of this result, in all states.",
)
@list_options
def list_uploads(states: tuple[str, ...], destination: str | None, result: str | int | None, how: Listing) -> None:
    """List what is still to be published, or was refused, newest first.

    Example: benchyard result uploads --state pending --to speed
    """
    if "all" in states or (not states and result is not None):
        states = ()
    elif not states:
        states = OUTSTANDING
    with how.connect() as client:
        number = result if result is None or isinstance(result, int) else find_result(client, result).id
        found = client.uploads.list(
            state=states, destination=destination, result=number, limit=how.limit, cursor=how.cursor
        )
        how.show(found, FIELDS, empty="nothing is outstanding" if states == OUTSTANDING else "no uploads")


@click.command("destinations")
@whole_list_options
def list_destinations(how: Listing) -> None:
    """List the places that the lab publishes at, with what is outstanding there and what each said last.

    Example: benchyard result destinations
    """
    from benchyard.cli.output import print_json

    with how.connect() as client:
        found = client.uploads.destinations()
    if how.as_json:
        print_json({"items": [destination.document for destination in found]})
    else:
        empty = "the lab publishes nowhere; add a table such as [publish.NAME] to its settings and start the lab anew"
        how.print_table(found, how.chosen(DESTINATION_FIELDS), empty=empty)


def _tell_trouble(upload: "Upload") -> None:
    """Tell on the side why somebody has to wait on."""
    if upload.pending:
        click.echo(clean(told(upload)), err=True)


def told(upload: "Upload") -> str:
    """What an upload is at, in one line."""
    what = f"result {upload.result} {'to' if upload.action == 'publish' else 'back from'} {upload.destination}"
    words = f": {upload.words}" if upload.words else ""
    link = f" ({upload.address})" if upload.address and upload.state == "sent" else ""
    return f"{what}: {upload.state}{words}{link}"


def _outstanding(destination: "Destination") -> str:
    counts = {state: getattr(destination, state) for state in OUTSTANDING}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)


FIELDS: "tuple[Field[Upload], ...]" = (
    Field("upload", lambda upload: str(upload.id), right=True, extra=True),
    Field("result", lambda upload: str(upload.result), right=True),
    Field("destination", lambda upload: upload.destination),
    Field("state", lambda upload: upload.state if upload.action == "publish" else f"{upload.state} (withdraw)"),
    Field("tries", lambda upload: str(upload.attempts), right=True, rank=2),
    Field("asked", lambda upload: local_time(upload.asked), rank=3),
    Field("next", lambda upload: local_time(upload.next_try), rank=1),
    Field("words", lambda upload: upload.words, flexible=True),
    Field("by", lambda upload: upload.asked_by, extra=True),
    Field("deadline", lambda upload: local_time(upload.deadline), extra=True),
    Field("sent", lambda upload: local_time(upload.sent), extra=True),
    Field("link", lambda upload: upload.address, flexible=True, extra=True),
    Field("changed", lambda upload: local_time(upload.changed), extra=True),
)

DESTINATION_FIELDS: "tuple[Field[Destination], ...]" = (
    Field("name", lambda destination: destination.name),
    Field("kind", lambda destination: destination.kind or "(not in the settings)"),
    Field("where", lambda destination: destination.where, flexible=True),
    Field("sends", lambda destination: "by itself" if destination.automatic else "when asked", rank=2),
    Field("outstanding", _outstanding),
    Field("said", lambda destination: destination.words, flexible=True, rank=1),
    Field("at", lambda destination: local_time(destination.answered), extra=True),
)

COMMANDS = (upload_result, list_uploads, list_destinations)
