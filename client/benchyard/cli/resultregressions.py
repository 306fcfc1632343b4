"""`benchyard result regressions` and `regression`: what has become worse, and what people say of it."""

from typing import TYPE_CHECKING, Any, Literal

import click

from benchyard.cli import complete
from benchyard.cli.format import change_style, level, local_time, sureness
from benchyard.cli.listing import Field, Listing, list_options
from benchyard.cli.options import connect, host_option, lab_options

if TYPE_CHECKING:
    from benchyard.cli.output import Cell
    from benchyard.client import Regression

STATUSES = ("new", "confirmed", "known", "fixed")
OPEN = ("new", "confirmed")


@click.command("regressions")
@click.option("--status", metavar="A,B,...", help=f"Of these statuses: {', '.join(STATUSES)} (new,confirmed), or all.")
@click.option("--better", "direction", flag_value="better", help="What has become better instead.")
@click.option("--both", "direction", flag_value="both", help="What has become better, too.")
@click.option("--benchmark", metavar="NAME", help="Of this benchmark.")
@click.option("--mean", is_flag=True, help="Of the geometric mean of all benchmarks.")
@host_option("On this host.")
@click.option("--branch", metavar="BRANCH", help="Of this branch.")
@click.option("--owner", metavar="USER", shell_complete=complete.users, help="That this user cares for.")
@click.option("--result", type=click.IntRange(1), metavar="RESULT", help="That this result is the first of.")
@list_options
def list_regressions(
    status: str | None,
    direction: Literal["better", "both"] | None,
    benchmark: str | None,
    mean: bool,
    host: str | None,
    branch: str | None,
    owner: str | None,
    result: int | None,
    how: Listing,
) -> None:
    """List what has become slower, or larger, from some commit on: regressions of series, newest first.

    They are `new` when they are found, `confirmed` when a later result says the same, and `fixed` when the level is
    back. `benchyard result regression` says that one is known, and who cares for it.

    Example: benchyard result regressions --host quiet-1 --branch main
    """
    if mean and benchmark:
        raise click.UsageError("--benchmark goes without --mean")
    # Who asks for a result's own wants all of them.
    wanted = status or ("all" if result is not None else ",".join(OPEN))
    with how.connect() as client:
        found = client.regressions.list(
            status=None if wanted == "all" else wanted,
            direction=direction,
            benchmark=benchmark,
            mean=mean,
            host=host,
            branch=branch,
            owner=owner,
            result=result,
            limit=how.limit,
            cursor=how.cursor,
        )
        how.show(found, FIELDS, empty="no regressions")


@click.command("regression")
@click.argument("regression", metavar="REGRESSION", type=click.IntRange(1))
@click.option("--status", type=click.Choice(STATUSES), help="Say what has become of it.")
@click.option("--owner", metavar="USER", shell_complete=complete.users, help="Who cares for it; '' for nobody.")
@click.option("--comment", metavar="TEXT", help="Say why it is so.")
@lab_options
def show_regression(
    regression: int, status: str | None, owner: str | None, comment: str | None, url: str | None, as_json: bool
) -> None:
    """Show a regression, or say what is known of it.

    Example: benchyard result regression 3 --status known --owner anna --comment "PEP 1234 costs this"
    """
    from benchyard.cli.output import print_json

    given: dict[str, Any] = {}
    given |= {} if status is None else {"status": status}
    given |= {} if owner is None else {"owner": owner or None}
    given |= {} if comment is None else {"comment": comment}
    with connect(url) as client:
        found = client.regressions.get(regression)
        if given:
            found = found.modify(**given)
    if as_json:
        print_json(found.document)
    else:
        _show(found)


def _show(found: "Regression") -> None:
    from benchyard.cli.output import print_fields

    suite = " ".join(word for word in (found.suite, found.suite_version) if word)
    print_fields(
        (
            ("regression" if found.worse else "speed-up", found.id),
            ("status", found.status),
            ("benchmark", found.benchmark or "geometric mean of all"),
            ("change", f"{found.change}, sure by {sureness(found.sure)}"),
            ("level", f"{level(found.before, found.unit)} -> {level(found.after, found.unit)}"),
            ("since", f"{found.commit} (result {found.result})"),
            ("before", f"{found.commit_before} (result {found.result_before})"),
            ("branch", found.branch),
            ("host", found.host + (f", epoch {found.epoch}" if found.epoch is not None else "")),
            ("flags", ",".join(found.flags)),
            ("suite", ", ".join(word for word in (suite, found.mode) if word)),
            ("found", f"{local_time(found.created)} by result {found.found_by}"),
            ("confirmed", f"by result {found.confirmed_by}" if found.confirmed_by else ""),
            ("fixed", f"by {found.fixed_by}" if found.fixed_by else ""),
            ("owner", found.owner),
            ("comment", found.comment),
            ("changed", f"{local_time(found.changed)} by {found.changed_by}"),
        )
    )


def _change(found: "Regression") -> "Cell":
    from benchyard.cli.output import Cell

    return Cell(found.change, change_style(found.change))


FIELDS: "tuple[Field[Regression], ...]" = (
    Field("regression", lambda found: str(found.id), right=True),
    Field("status", lambda found: found.status),
    Field("benchmark", lambda found: found.benchmark or "(geometric mean)", flexible=True),
    Field("change", _change),
    Field("commit", lambda found: found.commit[:10]),
    Field("branch", lambda found: found.branch, rank=2),
    Field("host", lambda found: found.host, rank=1),
    Field("result", lambda found: str(found.result), right=True, rank=3),
    Field("owner", lambda found: found.owner, rank=1),
    Field("comment", lambda found: found.comment, flexible=True, rank=2),
    Field("found", lambda found: local_time(found.created), extra=True),
    Field("flags", lambda found: ",".join(found.flags), extra=True),
    Field("before", lambda found: found.commit_before[:10], extra=True),
)
