"""The commands of `benchyard lab` that look after a lab: check, backup, restore and rebuild-index."""

import shlex
from pathlib import Path

import click

from benchyard.cli.labshared import DIR, JSON, aside, lab_errors


@click.command("check")
@DIR
@click.option(
    "--settings",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings to look at instead of the lab's own benchyard.toml.",
)
@JSON
def check_lab(directory: Path, file: Path | None, as_json: bool) -> None:
    """Tell whether a lab's settings are right, as its master will find them, before it is started with them.

    Example: benchyard lab check ~/lab
    """
    from benchyard.cli.output import say
    from benchyard.config.master import check_settings
    from benchyard.config.settings import SettingsError, load_settings

    try:
        settings = load_settings(directory.absolute(), file)
        check_settings(settings)
    except SettingsError as exc:
        raise click.ClickException(str(exc)) from exc
    found = {"hosts": list(settings.hosts), "targets": list(settings.targets)}
    say(f"the settings of the lab in {directory} are right", found, as_json)


@click.command("backup")
@DIR
@click.argument("archive", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@JSON
def backup_lab(directory: Path, archive: Path, as_json: bool) -> None:
    """Write a lab into FILE: database, settings, hosts, secrets and results. It may run meanwhile.

    Only you may read FILE: whoever has it has the lab's secrets.

    Example: benchyard lab backup ~/lab ~/lab-monday.tar.gz
    """
    from benchyard.cli.output import say
    from benchyard.lab.backup import back_up

    with lab_errors():
        back_up(directory, archive)
    size = archive.stat().st_size
    say(f"the lab in {directory} is in {archive} ({size / 1e6:.1f} MB)", {"file": str(archive), "size": size}, as_json)


@click.command("restore")
@click.argument("archive", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@DIR
@JSON
def restore_lab(archive: Path, directory: Path, as_json: bool) -> None:
    """Make the lab of a backup in the folder DIR, which must be empty; a PostgreSQL database must be, too.

    What the settings have elsewhere, results or an SQLite database, goes there, where nothing may be.

    Example: benchyard lab restore ~/lab-monday.tar.gz ~/lab
    """
    import time

    from benchyard.cli.output import say
    from benchyard.lab.backup import restore

    with lab_errors():
        manifest = restore(archive, directory)
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(manifest.made))
    say(f"the lab in {directory} is that of {made}; start it with `benchyard lab up {shlex.quote(str(directory))}`",
        {"root": str(directory), "made": manifest.made}, as_json)  # fmt: skip


@click.command("rebuild-index")
@DIR
@JSON
def rebuild_index_of_lab(directory: Path, as_json: bool) -> None:
    """Make the index of a lab's results anew from their files; the lab must be down.

    Files without a row get one, and what each benchmark gave is read again. Notes, and what else people have said of
    results, stay. Results whose files are gone are disabled until the files are back.

    Example: benchyard lab rebuild-index ~/lab
    """
    from benchyard.cli.output import say
    from benchyard.lab.rebuild import rebuild_index

    with lab_errors():
        done = rebuild_index(directory, aside)
    say(f"the index of the lab in {directory} is rebuilt: {done}", done._asdict(), as_json)


COMMANDS = (check_lab, backup_lab, restore_lab, rebuild_index_of_lab)
