"""The commands by which the lab brings interpreters and wheels to a host; `benchyard task` has them.

Nothing of `benchyard.tasks` is imported before a command runs.
"""

from pathlib import Path

import click

from benchyard.cli.taskshared import say_on, state_option, task_errors

#: Folders of a host's state that keep directories by the hash of what is in them.
KINDS = ("interpreters", "suites", "wheels")


def _kept(_context: click.Context, parameter: click.Parameter, value: object) -> object:
    names = value if isinstance(value, tuple) else (value,)
    for name in names:
        kind, slash, _id = str(name).partition("/")
        if not slash or kind not in KINDS:
            raise click.BadParameter(f"{name!r} is not KIND/ID; kinds are {', '.join(KINDS)}", param=parameter)
    return value


@click.command()
@click.argument("names", metavar="KIND/ID...", nargs=-1, required=True, callback=_kept)
@state_option(required=True)
def missing(names: tuple[str, ...], state: Path) -> None:
    """Print those of the interpreters/ID, suites/ID and wheels/ID that are not on this host.

    Example: benchyard task missing interpreters/ID wheels/ID --state ~/worker/state
    """
    from benchyard.tasks.trees import TreeStore

    with task_errors():
        for name in names:
            kind, _, id = name.partition("/")
            if not TreeStore(state / kind).has(id):
                click.echo(name)


@click.command()
@click.argument("name", metavar="KIND/ID", callback=_kept)
@state_option(required=True)
@click.option("--archive", type=click.Path(path_type=Path), required=True, help="The archive; removed afterwards.")
@click.option("--sha256", required=True, help="The archive's sum.")
@click.option("--limit", type=int, help="Bytes of that kind to keep; those used least recently go.")
def keep(name: str, state: Path, archive: Path, sha256: str, limit: int | None) -> None:
    """Unpack an archive on this host, as soon as nothing is measured here.

    What made room takes its benchmark environment with it.

    Example: benchyard task keep wheels/ID --state ~/worker/state --archive wheels.tar.gz --sha256 SUM
    """
    from benchyard.tasks.environment import drop_dead_environments
    from benchyard.tasks.interpreters import check_interpreter_tree
    from benchyard.tasks.preparing import preparing
    from benchyard.tasks.suite import check_suite_tree
    from benchyard.tasks.trees import TreeStore
    from benchyard.tasks.wheels import check_wheelhouse_tree

    kind, _, id = name.partition("/")
    checks = {"interpreters": check_interpreter_tree, "suites": check_suite_tree, "wheels": check_wheelhouse_tree}
    check = checks[kind]
    try:
        with task_errors(), preparing(state, say_on(err=True)):
            TreeStore(state / kind, limit=limit).add(id, archive, sha256=sha256, check=lambda tree: check(tree, id))
            drop_dead_environments(state / "environments")
    finally:
        archive.unlink(missing_ok=True)


COMMANDS = (missing, keep)
