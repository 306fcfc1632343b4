"""`benchyard task build-cpython`, and the commands by which the lab's own steps build, keep and fetch interpreters.

Nothing of `benchyard.tasks` is imported before a command runs.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from benchyard.cli.output import print_json
from benchyard.cli.taskshared import cache_folder, interpreters_option, say_on, state_option, task_errors

Settings = dict[str, str]


def _parse_variables(_context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> Settings:
    pairs = [value.partition("=") for value in values]
    for name, equals, _text in pairs:
        if not equals:
            raise click.BadParameter(f"{name!r} is not NAME=VALUE", param=parameter)
    return {name: text for name, _equals, text in pairs}


_set_option = click.option(
    "--set", "environ", multiple=True, metavar="NAME=VALUE", callback=_parse_variables, help="CC, CFLAGS and the like."
)


@click.command("build-cpython")
@click.argument("repository")
@click.option("--ref", default=None, metavar="REF", help="Branch, tag or commit; default: the tip of --branch.")
@click.option("--branch", metavar="BRANCH", help="The branch that the commit must be on.")
@click.option("--patch", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A diff to put on top.")
@click.option("--flag", "flags", multiple=True, metavar="FLAG,...", help="pgo, lto, jit, nogil, tailcall, debug, bolt.")
@click.option("--configure-arg", "configure_args", multiple=True, metavar="ARG", help="More for configure.")
@_set_option
@interpreters_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def build_cpython(
    repository: str,
    ref: str | None,
    branch: str | None,
    patch: Path | None,
    flags: tuple[str, ...],
    configure_args: tuple[str, ...],
    environ: Settings,
    interpreters: Path | None,
    as_json: bool,
) -> None:
    """Build a commit of the CPython REPOSITORY, a URL or a directory, and print the build's id.

    What was built before is not built again. Measure it with `benchyard task run-benchmarks --build ID`.

    Example: benchyard task build-cpython https://github.com/python/cpython --ref v3.14.0 --flag pgo,lto
    """
    from benchyard.tasks.building import build_cpython as build
    from benchyard.tasks.interpreters import read_record
    from benchyard.tasks.trees import TreeStore

    if ref is None and branch is None:
        raise click.UsageError("say what to build: --ref or --branch")
    store = TreeStore(interpreters or cache_folder("interpreters"))
    with task_errors():
        id = build(
            repository,
            ref or branch or "",
            branch=branch,
            patch=patch.read_text("utf-8") if patch is not None else None,
            flags=[flag for text in flags for flag in text.split(",") if flag],
            configure_args=configure_args,
            environ=environ,
            store=store,
            work=cache_folder("source"),
            say=say_on(err=True),
        )
    if as_json:
        print_json(read_record(store.tree(id)))
    else:
        click.echo(id)


@click.command()
@_set_option
@state_option(required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, on one line.")
def toolchain(environ: Settings, state: Path | None, as_json: bool) -> None:
    """Say what this machine builds interpreters with.

    With a state directory, not while this host measures.

    Example: benchyard task toolchain --set CC=clang
    """
    import msgspec

    from benchyard.tasks.preparing import preparing
    from benchyard.tasks.recipe import find_toolchain

    with task_errors(), preparing(state, say_on(err=True)):
        found = find_toolchain(environ)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        click.echo(f"{found.cc_version}, {found.libc}, {found.system}-{found.machine}, {found.cpus} CPUs")


@click.command("fetch-source")
@click.argument("url")
@click.argument("commit")
@click.option("--mirror", type=click.Path(file_okay=False, path_type=Path), required=True, help="The mirror.")
@state_option(required=False)
def fetch_source(url: str, commit: str, mirror: Path, state: Path | None) -> None:
    """Bring COMMIT of the repository at URL into this host's mirror.

    With a state directory, not while this host measures.

    Example: benchyard task fetch-source --mirror mirror.git https://github.com/python/cpython COMMIT
    """
    from benchyard.tasks.mirror import update_mirror
    from benchyard.tasks.preparing import preparing

    with task_errors(), preparing(state, say_on(err=True)):
        fetched = update_mirror(mirror, url, commit)
    click.echo(f"benchyard: {commit} " + (f"was fetched from {url}" if fetched else "is here already"))


@click.command("build-step")
@state_option(required=True)
@click.option("--ccache", type=click.Path(path_type=Path), help="The directory of ccache's compiler names.")
@click.option("--remove", type=click.Path(path_type=Path), help="A directory that must not be there before.")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
def build_step(state: Path, ccache: Path | None, remove: Path | None, argv: tuple[str, ...]) -> None:
    """Run ARGV, a part of a build, as soon as nothing is measured on this host; its status is that of ARGV.

    In a builder's folder, named by the variable BENCHYARD_BUILD, whatever it leaves running is ended.

    Example: benchyard task build-step --state ~/worker/state -- make -j8
    """
    from benchyard.tasks.preparing import preparing, run_command
    from benchyard.tasks.recipe import build_environ

    environ = build_environ(os.environ, str(ccache) if ccache is not None else None)
    with task_errors(), preparing(state, say_on(err=True)) as lock:
        if remove is not None:
            shutil.rmtree(remove, ignore_errors=True)
        status = run_command(argv, environ, lock)
    click.get_current_context().exit(status)


@click.command("pack-interpreter")
@click.argument("id")
@state_option(required=True)
@click.option("--installed", type=click.Path(path_type=Path), required=True, help="DESTDIR of the installation.")
@click.option("--recipe", "recipe_text", required=True, help="What it was made of, as JSON.")
@click.option("--toolchain", "toolchain_text", required=True, help="What it was made with, as JSON.")
@click.option("--archive", type=click.Path(path_type=Path), required=True, help="The archive to write.")
def pack_interpreter(
    id: str, state: Path, installed: Path, recipe_text: str, toolchain_text: str, archive: Path
) -> None:
    """Pack the interpreter ID that was installed below a directory; prints its record, and the archive's sum.

    Example: benchyard task pack-interpreter ID --installed DIR --recipe JSON --toolchain JSON --archive FILE
    """
    import msgspec

    from benchyard.tasks.archive import pack
    from benchyard.tasks.building import finish, installed_tree, left_out
    from benchyard.tasks.preparing import preparing
    from benchyard.tasks.recipe import Recipe, Toolchain

    recipe = msgspec.json.decode(recipe_text, type=Recipe)
    made_with = msgspec.json.decode(toolchain_text, type=Toolchain)
    with task_errors(), preparing(state, say_on(err=True)):
        tree = installed_tree(installed)
        record = finish(tree, id, recipe, made_with)
        packed = pack(tree, archive, leave_out=left_out)
        shutil.rmtree(installed, ignore_errors=True)
    click.echo(msgspec.json.encode({"sha256": packed.sha256, "size": packed.size, "record": record}).decode())


COMMANDS = (
    build_cpython,
    toolchain,
    fetch_source,
    build_step,
    pack_interpreter,
)
