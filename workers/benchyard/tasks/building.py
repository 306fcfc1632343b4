"""Building CPython from source: from the repository to an interpreter in the store of this machine."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchyard.tasks.errors import BuildError, InterpreterError, RecipeError, SourceError
from benchyard.tasks.files import tail
from benchyard.tasks.flags import check_configure_args, check_flags
from benchyard.tasks.git import check_url, git
from benchyard.tasks.history import History
from benchyard.tasks.interpreter import inspect_interpreter
from benchyard.tasks.interpreters import BuildRecord, program, write_record
from benchyard.tasks.mirror import kept_ref, update_mirror
from benchyard.tasks.patches import CHANGES, check_changes, check_patch, patch_id
from benchyard.tasks.recipe import (
    PREFIX,
    Recipe,
    Toolchain,
    build_environ,
    check_environ,
    configure_command,
    find_toolchain,
    install_command,
    interpreter_id,
    make_command,
)
from benchyard.tasks.trees import TreeStore

#: Seconds that one step of a build may take; training a debug build on a slow board takes hours.
STEP_LIMIT_S = 8 * 3600.0

# What says why a build failed, most telling first; `make`'s own complaint comes after the compiler's.
_ERRORS = (
    re.compile(r"No space left on device"),
    re.compile(r"^\S+?:\d+(:\d+)?: (fatal )?error: "),
    re.compile(r"^configure: error: "),
    re.compile(r"undefined reference to|^\S*ld: |multiple definition of"),
    re.compile(r"^\S*(gcc|clang|cc)\S*: (fatal )?error: "),
    re.compile(r"^(\w*Error|ImportError|ModuleNotFoundError)\b"),
    re.compile(r"^make(\[\d+\])?: \*\*\* "),
)


def build_cpython(
    repository: str,
    ref: str,
    *,
    store: TreeStore,
    work: Path,
    branch: str | None = None,
    patch: str | None = None,
    flags: Sequence[str] = (),
    configure_args: Sequence[str] = (),
    environ: Mapping[str, str] = {},
    say: Callable[[str], None] = lambda line: None,
) -> str:
    """Build the commit that `ref` names in a repository, with a patch's text on top, and return the build's id.

    The interpreter is in `store` then; what is there already is not built again. `repository` is a URL or a directory,
    `environ` has compiler variables such as CC and CFLAGS, `work` keeps mirrors between builds. Raises RecipeError,
    SourceError or BuildError, in one line.
    """
    url = _url(repository)
    recipe = Recipe(
        commit=History(work / "history.git").resolve("source", url, ref, branch=branch).commit,
        patch=patch_id(patch) if patch is not None else None,
        flags=check_flags(flags),
        configure_args=check_configure_args(configure_args),
        environ=check_environ(environ),
    )
    level = check_patch(patch) if patch is not None else 0
    toolchain = find_toolchain(recipe.environ)
    id = interpreter_id(recipe, toolchain)
    with store.making(id) as missing:
        if not missing:
            say(f"benchyard: {id[:12]} is built already")
            return id
        folder = work / "builds" / id[:16]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        say(f"benchyard: fetching {recipe.commit[:12]} from {url}")
        update_mirror(work / "mirror.git", url, recipe.commit)
        _check_out(work / "mirror.git", recipe.commit, folder / "source")
        if patch is not None:
            _apply(folder, patch, level)
        _build(recipe, toolchain, folder, store.tree(id), id, say)
        shutil.rmtree(folder)
    store.drop_old(keep=(id,))
    return id


class ErrorLines:
    """Finds, in a build's output, the line that says why it failed: the compiler's before those that follow from it."""

    def __init__(self) -> None:
        self._found: dict[int, str] = {}

    def see(self, line: str) -> None:
        """Look at the next line."""
        for rank, pattern in enumerate(_ERRORS):
            if rank not in self._found and pattern.search(line):
                self._found[rank] = line.strip()[:300]

    @property
    def first(self) -> str | None:
        """The most telling line so far, None where none told anything."""
        return self._found[min(self._found)] if self._found else None


def finish(tree: Path, id: str, recipe: Recipe, toolchain: Toolchain, seconds: Mapping[str, float] = {}) -> BuildRecord:
    """Ask an installed interpreter what it is, and put the record into its tree; BuildError where it does not run."""
    python = program(tree)
    try:
        found = inspect_interpreter(str(python))
    except InterpreterError as exc:
        raise BuildError(f"it was built, and does not run: {exc}") from exc
    record = BuildRecord(
        id=id,
        recipe=recipe,
        toolchain=toolchain,
        version=found.version,
        sysconfig=found.sysconfig,
        made=time.time(),
        seconds=dict(seconds),
    )
    write_record(tree, record)
    return record


def left_out(name: str) -> bool:
    """Whether a file of an installed tree is of no use to who runs it: static libraries, and the tests of CPython."""
    parts = name.split("/")
    if name.endswith(".a") or parts[0] == "share":
        return True
    return len(parts) > 3 and parts[0] == "lib" and parts[2] == "test" and parts[3] not in ("__init__.py", "support")


def installed_tree(destination: Path) -> Path:
    """The tree that `install_command` makes below a directory."""
    return destination / PREFIX.lstrip("/")


def _build(recipe: Recipe, toolchain: Toolchain, folder: Path, tree: Path, id: str, say: Callable[[str], None]) -> None:
    destination = folder / "installed"
    commands = {
        "configure": configure_command(recipe),
        "make": make_command(toolchain),
        "install": install_command(str(destination)),
    }
    seconds = {}
    for name, argv in commands.items():
        say(f"benchyard: {name}: {' '.join(argv)}"[:500])
        began = time.monotonic()
        _run(name, argv, folder, build_environ(os.environ, toolchain.ccache))
        seconds[name] = round(time.monotonic() - began, 3)
    installed = installed_tree(destination)
    if not program(installed).exists():
        raise BuildError(f"`make install` made no {program(installed)}: is this a Python?")
    for path in sorted(installed.rglob("*"), reverse=True):
        if not path.is_dir() and left_out(path.relative_to(installed).as_posix()):
            path.unlink()
    record = finish(installed, id, recipe, toolchain, seconds)
    tree.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(installed, tree.with_name(f".{id}.part"), symlinks=True, dirs_exist_ok=True)
    tree.with_name(f".{id}.part").rename(tree)
    say(f"benchyard: Python {record.version} is {id[:12]}, made in {sum(seconds.values()):.0f} s")


def _run(name: str, argv: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
    log = folder / f"{name}.log"
    try:
        with log.open("wb") as out:
            status = subprocess.run(
                argv,
                cwd=folder / "source",
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=STEP_LIMIT_S,
                check=False,
            ).returncode
    except OSError as exc:
        raise BuildError(f"{argv[0]} cannot be run in {folder / 'source'}: {exc.strerror}") from exc
    except subprocess.TimeoutExpired as exc:
        raise BuildError(f"{name} was not done within {STEP_LIMIT_S:g} s; see {log}") from exc
    if status != 0:
        with log.open(encoding="utf-8", errors="replace") as lines:
            errors = ErrorLines()
            for line in lines:
                errors.see(line)
            why = errors.first or tail(log, 1) or f"exit status {status}"
        raise BuildError(f"{name} failed: {why}; see {log}")


def _check_out(mirror: Path, commit: str, source: Path) -> None:
    git(["clone", "--quiet", "--no-checkout", "--shared", "--", str(mirror), str(source)])
    inside = source / ".git"
    git(["fetch", "--quiet", "origin", kept_ref(commit)], repository=inside)
    git(["--work-tree", str(source), "checkout", "--quiet", "--detach", "--force", commit], repository=inside)


def _apply(folder: Path, patch: str, level: int) -> None:
    file = folder / "patch.diff"
    file.write_text(patch, encoding="utf-8")
    source = ["-C", str(folder / "source")]
    try:
        git([*source, "apply", f"-p{level}", "--index", str(file.resolve())])
    except SourceError as exc:
        raise RecipeError("patch", f"it does not apply to this commit: {exc}") from exc
    check_changes(git([*source, *CHANGES]))


def _url(repository: str) -> str:
    path = Path(repository)
    return check_url(path.resolve().as_uri() if path.is_dir() else repository)
