"""`benchyard queue`: what waits for each target."""

import click

from benchyard.cli.options import connect, lab_options


@click.group("queue")
def queues() -> None:
    """Show what waits for each target."""


@queues.command("list")
@lab_options
def list_queues(url: str | None, as_json: bool) -> None:
    """List the queues, the next job first."""
    from benchyard.cli.output import Column, print_json, print_table

    with connect(url) as client:
        pages = client.queues.list()
        listed = list(pages)
    if as_json:
        print_json({"items": [found.document for found in listed], "next": pages.next})
        return
    columns = (Column("TARGET"), Column("WAITING", right=True), Column("JOBS", flexible=True))
    rows = ((found.target, str(len(found.jobs)), " ".join(map(str, found.jobs))) for found in listed)
    print_table(columns, rows, empty="no queues")
