"""`benchyard notice`: what the lab has told people, for those as well whom no mail reaches."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from benchyard.cli.format import clean, local_time
from benchyard.cli.listing import Field, Listing, list_options, since_option, until_option
from benchyard.cli.options import connect, lab_options, target_option

if TYPE_CHECKING:
    from benchyard.client import Notice, Telling

KINDS = click.Choice(["job_done", "regression", "host_quarantined", "lane_stale", "upload_refused"])


@click.group("notice")
def notices() -> None:
    """Read notices: jobs that are done, regressions, hosts quarantined, lanes stale, uploads refused."""


@notices.command("list")
@click.option("--kind", type=KINDS, help="Notices of this kind.")
@click.option("--user", metavar="USER", help="Notices for this user.")
@target_option("Notices about this target.")
@since_option
@until_option
@list_options
def list_notices(
    kind: str | None,
    user: str | None,
    target: str | None,
    since: datetime | None,
    until: datetime | None,
    how: Listing,
) -> None:
    """List notices, newest first.

    Example: benchyard notice list --kind regression
    """
    with how.connect() as client:
        found = client.notices.list(
            kind=kind, user=user, target=target, since=since, until=until, limit=how.limit, cursor=how.cursor
        )
        how.show(found, FIELDS, empty="no notices")


@notices.command("get")
@click.argument("notice", metavar="NOTICE", type=click.IntRange(1))
@lab_options
def get_notice(notice: int, url: str | None, as_json: bool) -> None:
    """Show a notice as it was told, and by whom.

    Example: benchyard notice get 12
    """
    from benchyard.cli.output import print_fields, print_json

    with connect(url) as client:
        found = client.notices.get(notice)
    if as_json:
        print_json(found.document)
        return
    print_fields(
        (
            ("notice", found.id),
            ("time", local_time(found.time)),
            ("for", ", ".join(found.users)),
            *(("told by" if each.outcome == "told" else each.outcome, _telling(each)) for each in found.tellings),
            ("subject", found.subject),
        )
    )
    click.echo()
    for line in found.body.splitlines():
        click.echo(clean(line))


def _telling(telling: "Telling") -> str:
    return f"{telling.notifier}, {local_time(telling.time)}" + (f": {telling.words}" if telling.words else "")


FIELDS: "tuple[Field[Notice], ...]" = (
    Field("notice", lambda notice: str(notice.id), right=True),
    Field("time", lambda notice: local_time(notice.time)),
    Field("kind", lambda notice: notice.kind, rank=1),
    Field("subject", lambda notice: notice.subject, flexible=True),
    Field("for", lambda notice: ",".join(notice.users), flexible=True, rank=2),
    Field("target", lambda notice: notice.target, extra=True),
)
