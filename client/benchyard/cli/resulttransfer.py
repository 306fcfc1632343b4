"""The commands of `benchyard result` for many at once: import from other tools, export, and prune."""

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchyard.cli import complete
from benchyard.cli.asking import confirm, yes_option
from benchyard.cli.format import clean, counted
from benchyard.cli.options import connect, entity_name, find_result, lab_options

if TYPE_CHECKING:
    from benchyard.client.transfers import Transfer

#: The outcomes in the order of a summary, with what is said of them.
_SAID = {
    "imported": "imported",
    "new": "would be imported",
    "exported": "exported",
    "restored": "brought back",
    "known": "there already",
    "skipped": "skipped",
    "failed": "failed",
}


@click.command("import")
@click.argument("folder", metavar="DIR|FILE", type=click.Path(exists=True, path_type=Path))
@click.option("--host", metavar="HOST", help="Where all of it was measured; else the names and files tell.")
@click.option("--own-hosts", is_flag=True, help="What is said to be of hosts that this lab has is of these.")
@click.option("--dry-run", is_flag=True, help="Only look what would be imported.")
@lab_options
def import_results(
    folder: Path, host: str | None, own_hosts: bool, dry_run: bool, url: str | None, as_json: bool
) -> None:
    """Take in results that were measured elsewhere, of all files below DIR.

    They may be in bench_runner's layout, have PORTAL's names, or be plain files of pyperf or pyperformance, packed by
    gzip or not. What the lab has already is left out, so an import that was cut off goes on if it is done again; what
    it had and lost is brought back. Files that are no results are listed.

    Example: benchyard result import ~/bench_runner/results
    """
    from benchyard.client.transfers import result_files

    files = result_files(folder)
    if not files:
        raise click.ClickException(f"there are no .json or .json.gz files below {folder}")
    with connect(url) as client:
        done = client.results.import_from(folder, host=host, own_hosts=own_hosts, dry_run=dry_run, files=files)
        _tell(_follow(done, len(files), "importing", as_json), as_json)


@click.command("export")
@click.argument(
    "names",
    metavar="[RESULT]... DIR",
    nargs=-1,
    required=True,
    shell_complete=complete.results,
)
@click.option("--all", "everything", is_flag=True, help="All results of the lab.")
@lab_options
def export_results(names: tuple[str, ...], everything: bool, url: str | None, as_json: bool) -> None:
    """Write the files of results into DIR, as they were measured, in bench_runner's layout.

    Flame graphs and the like are in the folder NAME.d beside the file NAME that they belong to.

    Example: benchyard result export --all ~/results
    """
    *wanted, folder = names
    if everything == bool(wanted):
        raise click.UsageError("name the RESULTs to export, or --all; not both")
    kind = entity_name("result", ("last",))
    numbers = [kind(name) for name in wanted]
    with connect(url) as client:
        found = None if everything else [find_result(client, number) for number in numbers]
        try:
            done = _follow(client.results.export_to(Path(folder), found), len(numbers) or None, "exporting", as_json)
        except OSError as exc:
            raise click.ClickException(f"{folder} cannot be written: {exc.strerror or exc}") from exc
    _tell(done, as_json)


@click.command("prune")
@click.option("--keep-days", type=click.FloatRange(1, 36500), help="Days for which all stay (default: the settings').")
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@yes_option
@lab_options
def prune_results(keep_days: float | None, dry_run: bool, yes: bool, url: str | None, as_json: bool) -> None:
    """Put old results into the trash: of each week one stays, of each host, branch, flags and suite.

    What is of a release, has a note, or was compared with stays, and so do calibrations. What was published of a result
    stays there; `benchyard result remove` takes that back.

    Example: benchyard result prune --dry-run
    """
    from benchyard.cli.output import print_json

    with connect(url) as client:
        found = client.results.prune(keep_all_days=keep_days)
        if not as_json:
            for result in found:
                made = f"{result.created:%Y-%m-%d}" if result.created else ""
                click.echo(
                    clean(f"result {result.id}: {made} {result.commit or result.version or ''} on {result.host}")
                )
        if found and not dry_run:
            confirm(f"Put {counted(len(found), 'result')} into the trash?", yes)
            found = client.results.prune(keep_all_days=keep_days, dry_run=False)
    if as_json:
        print_json({"dry_run": dry_run, "items": [result.document for result in found]})
    else:
        click.echo(f"{counted(len(found), 'result')} {'would go' if dry_run else 'went'} to the trash")


def _follow(transfers: "Iterable[Transfer]", number: int | None, what: str, as_json: bool) -> "list[Transfer]":
    """Wait for all of them, and show how far it is."""
    hidden = as_json or not sys.stderr.isatty()
    with click.progressbar(transfers, length=number, label=what, file=sys.stderr, hidden=hidden) as bar:
        return list(bar)


def _tell(done: "list[Transfer]", as_json: bool) -> None:
    """Show what became of the files; ends with status 1 where the lab has failed with any."""
    import msgspec

    from benchyard.cli.output import print_json

    counts: Counter[str] = Counter(transfer.outcome for transfer in done)
    if as_json:
        summary = {outcome: counts[outcome] for outcome in _SAID if counts[outcome] or outcome == "skipped"}
        print_json({"summary": summary, "files": [msgspec.to_builtins(transfer) for transfer in done]})
    for transfer in () if as_json else done:
        if transfer.reason:
            click.echo(clean(f"{transfer.outcome} {transfer.file or f'result {transfer.result}'}: {transfer.reason}"))
        elif transfer.outcome == "restored":
            click.echo(clean(f"result {transfer.result} has its file again: {transfer.file}"))
    if not as_json:
        said = [f"{counts[outcome]} {words}" for outcome, words in _SAID.items() if counts[outcome]]
        click.echo(", ".join(said) or "no results")
    if counts["failed"]:
        click.get_current_context().exit(1)


COMMANDS = (import_results, export_results, prune_results)
