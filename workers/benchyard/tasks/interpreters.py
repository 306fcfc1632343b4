"""Interpreters that were built: what each is, and how one is used by its id.

A machine keeps them in a `TreeStore`: ID/bin/python3 is the program, ID/interpreter.json says what it is.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from benchyard.tasks.errors import ArchiveError, InterpreterError
from benchyard.tasks.files import write_atomically
from benchyard.tasks.interpreter import Interpreter, inspect_interpreter
from benchyard.tasks.interpreter import flags as flags_of
from benchyard.tasks.recipe import Recipe, Toolchain, configure_arguments
from benchyard.tasks.trees import TreeStore, is_id

RECORD = "interpreter.json"


class BuildRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What an interpreter is, kept with it and with each of its results; `made` in epoch seconds, `seconds` by step."""

    id: str
    recipe: Recipe
    toolchain: Toolchain
    version: str
    sysconfig: dict[str, Any] = {}
    made: float = 0.0
    seconds: dict[str, float] = {}


def write_record(tree: Path, record: BuildRecord) -> None:
    """Put the record of an interpreter into its tree."""
    write_atomically(tree / RECORD, msgspec.json.format(msgspec.json.encode(record), indent=1))


def read_record(tree: Path) -> BuildRecord:
    """The record in an interpreter's tree; InterpreterError where there is none that can be read."""
    try:
        return msgspec.json.decode((tree / RECORD).read_bytes(), type=BuildRecord)
    except (OSError, msgspec.DecodeError) as exc:
        raise InterpreterError(f"{tree} is no interpreter of the lab's: {exc}") from exc


def check_interpreter_tree(tree: Path, id: str) -> None:
    """ArchiveError where a tree holds another interpreter than the one with this id."""
    found = read_record(tree).id
    if found != id:
        raise ArchiveError(f"the archive holds the interpreter {found[:12]}, not {id[:12]}")


@contextmanager
def use_interpreter(python: str, store: TreeStore | None) -> Iterator[tuple[str, Interpreter]]:
    """Give path and description of an interpreter: of an installed one by its path, of a built one by its id.

    A built one is described by its record, as it cannot know its full commit, branch or patch itself.
    """
    if store is None or not is_id(python):
        yield python, inspect_interpreter(python)
        return
    with store.use(python) as tree:
        path = program(tree)
        yield str(path), _as_built(inspect_interpreter(str(path)), read_record(tree))


def _as_built(found: Interpreter, record: BuildRecord) -> Interpreter:
    """What was found by running an interpreter, with what is known from its build; which branch that was is not."""
    recipe = record.recipe
    configured = shlex.join(configure_arguments(recipe))
    # Free arguments turn flags on as well, and what runs without the GIL has it off, whoever said so.
    flags = {*flags_of({"configure_args": configured}), *({"debug", "nogil"} & set(found.flags))}
    return msgspec.structs.replace(
        found,
        id=record.id,
        commit=recipe.commit,
        branch=None,
        patch=recipe.patch,
        flags=tuple(sorted(flags)),
        configure_args=configured,
        environ=recipe.environ,
        toolchain=record.toolchain,
    )


def program(tree: Path) -> Path:
    """The program to run of an installed tree."""
    return tree / "bin" / "python3"
