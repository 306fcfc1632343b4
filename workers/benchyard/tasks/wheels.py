"""Wheelhouses: all that the benchmarks' environments install, as wheels, so that nothing is fetched where one measures.

WHEELHOUSE/*.whl           the wheels
           wheels.json     which of them count, with their sums, and for which requirements; written last
WHEELHOUSE.lock            held while it is added to; its time is that of the last use
.WHEELHOUSE.new            what is made just now
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchyard.tasks.environment import (
    base_requirements,
    clean_environ,
    is_optional,
    pip_arguments,
    requirements_of,
    telling_line,
)
from benchyard.tasks.errors import ArchiveError, EnvironmentMakeError
from benchyard.tasks.files import sync_file, tail, write_atomically
from benchyard.tasks.hostlock import hold_lock, try_lock
from benchyard.tasks.interpreter import Interpreter, inspect_interpreter
from benchyard.tasks.suite import Suite, installed_suite
from benchyard.tasks.trees import tree_size

RECORD = "wheels.json"

_LOCK_S, _STEP_S = 3600.0, 3600.0
_ODD = re.compile(r"[^A-Za-z0-9.+]+")


class Wheelhouse(msgspec.Struct, frozen=True):
    """What a wheelhouse has: sums by file name, the requirements that are met, and by benchmark why its are not."""

    suite_version: str
    files: dict[str, str] = {}
    needs: tuple[tuple[str, ...], ...] = ()
    failed: dict[str, str] = {}

    @property
    def id(self) -> str:
        """The SHA-256 of what is in it."""
        return hashlib.sha256(msgspec.json.encode(sorted(self.files.items()))).hexdigest()


def wheelhouse_name(interpreter: Interpreter, suite: Suite) -> str:
    """The name of the wheelhouse that an interpreter can use, with all others of its version, ABI and machine.

    Between two releases the C API may change without a word of the ABI tag, so the whole version counts.
    """
    abi = str(interpreter.sysconfig.get("SOABI") or interpreter.implementation)
    parts = (interpreter.implementation, interpreter.version, abi, interpreter.machine, f"suite{suite.label}")
    return "-".join(_ODD.sub("_", part) for part in parts)


def make_wheels(
    python: str,
    selections: Sequence[str] = (),
    *,
    output: Path,
    suite: Suite | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Wheelhouse:
    """Put the wheels that the selected benchmarks need into `output`, and return all that is there.

    What is there already is not made again, unless it is damaged. A benchmark whose requirements cannot be had is in
    `failed`; raises EnvironmentMakeError where not even pyperf can.
    """
    output = output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    suite = suite or installed_suite()
    names = suite.select(selections)
    inspect_interpreter(python)
    needs = {name: need for name, need in requirements_of(suite, names).items() if need}
    with _locked(output):
        known = _known(output, suite.label, say)
        missing = sorted({need for need in needs.values() if need not in known.needs})
        if not missing and known.files:
            return _without(known, needs, {})
        made = _make(python, output, missing, base=not known.files, say=say)
        files = {**known.files, **made.files}
        whole = msgspec.structs.replace(known, files=files, needs=(*known.needs, *made.met))
        write_atomically(output / RECORD, msgspec.json.format(msgspec.json.encode(whole), indent=1))
    return _without(whole, needs, made.failed)


def read_wheelhouse(folder: Path) -> Wheelhouse:
    """What a wheelhouse has, once every file was found whole; EnvironmentMakeError names one that is not."""
    try:
        found = msgspec.json.decode((folder / RECORD).read_bytes(), type=Wheelhouse)
    except (OSError, msgspec.DecodeError) as exc:
        raise EnvironmentMakeError(f"{folder} is no wheelhouse: {exc}") from exc
    for name, wanted in found.files.items():
        try:
            with (folder / name).open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as exc:
            raise EnvironmentMakeError(
                f"{folder / name} cannot be read: {exc.strerror}; make the wheels again"
            ) from exc
        if sha256 != wanted:
            raise EnvironmentMakeError(f"{folder / name} is damaged; make the wheels again")
    return found


def check_wheelhouse_tree(tree: Path, id: str) -> None:
    """ArchiveError where a folder is another wheelhouse than the one with this id."""
    if read_wheelhouse(tree).id != id:
        raise ArchiveError(f"the archive holds another wheelhouse than {id[:12]}")


def drop_old_wheelhouses(root: Path, limit: int, *, keep: str) -> None:
    """Drop the wheelhouses in `root` that were used least recently, but `keep`, until they have `limit` bytes."""
    found = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    sizes = {path: tree_size(path) for path in found}
    for path in sorted(found, key=lambda path: _lock_of(path).stat().st_mtime if _lock_of(path).exists() else 0.0):
        if sum(sizes.values()) <= limit:
            return
        lock = try_lock(_lock_of(path)) if path.name != keep else None
        if lock is not None:
            try:
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
            del sizes[path]


def _known(output: Path, label: str, say: Callable[[str], None]) -> Wheelhouse:
    """What a wheelhouse has. A damaged one is emptied: which requirements a file was made for is not known.

    Made again, its other wheels come from pip's cache for the most part.
    """
    if (output / RECORD).exists():
        try:
            return read_wheelhouse(output)
        except EnvironmentMakeError as exc:
            say(f"benchyard: {str(exc).partition(';')[0]}; the wheels are made again")
            shutil.rmtree(output)
            output.mkdir()
    return Wheelhouse(label)


class _Made(msgspec.Struct):
    files: dict[str, str]
    met: list[tuple[str, ...]]
    failed: dict[tuple[str, ...], str]


def _make(
    python: str, output: Path, missing: Sequence[tuple[str, ...]], *, base: bool, say: Callable[[str], None]
) -> _Made:
    """Build or fetch what is missing beside the wheelhouse, and move it there."""
    with _new_folder(output) as folder:
        builder = _Builder(python, folder, say)
        common = base_requirements() if base else ()
        failed: dict[tuple[str, ...], str] = {}
        if not builder.wheels(common, *missing):
            if base and not builder.wheels(common):
                needed = tuple(spec for spec in common if not is_optional(spec))
                if not builder.wheels(needed):
                    raise EnvironmentMakeError(
                        f"the wheels for {python} cannot be had: {telling_line(builder.why(20))}"
                    )
            for need in missing:
                if not builder.wheels(need):
                    failed[need] = builder.why(20)
        files = {}
        for wheel in sorted(builder.made.glob("*.whl")):
            with wheel.open("rb") as file:
                files[wheel.name] = hashlib.file_digest(file, "sha256").hexdigest()
            sync_file(wheel)
            wheel.replace(output / wheel.name)
    return _Made(files, [need for need in missing if need not in failed], failed)


class _Builder:
    """Calls pip of an environment of the interpreter's own."""

    def __init__(self, python: str, folder: Path, say: Callable[[str], None]) -> None:
        self.made = folder / "made"
        self._log, self._say = folder / "log", say
        self._python = folder / "environment" / "bin" / "python"
        self._log.write_bytes(b"")
        if not self._run([python, "-m", "venv", str(self._python.parent.parent)]):
            raise EnvironmentMakeError(f"{python} makes no environment: {self.why(1)}")

    def wheels(self, *needs: tuple[str, ...]) -> bool:
        """Whether pip had or made the wheels of all these requirements."""
        arguments = pip_arguments(needs)
        if not arguments:
            return True
        self._say(f"benchyard: making wheels of {' '.join(arguments)}"[:300])
        self._log.write_bytes(b"")
        return self._run([str(self._python), "-m", "pip", "wheel", "--wheel-dir", str(self.made), *arguments])

    def why(self, lines: int) -> str:
        """The end of what was printed last."""
        return tail(self._log, lines).strip() or "it said nothing"

    def _run(self, argv: list[str]) -> bool:
        environ = {**clean_environ(os.environ), "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        with self._log.open("ab") as log:
            try:
                done = subprocess.run(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environ,
                    timeout=_STEP_S,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as exc:
                log.write(f"{exc}\n".encode())
                return False
        return done.returncode == 0


def _without(whole: Wheelhouse, needs: dict[str, tuple[str, ...]], failed: dict[tuple[str, ...], str]) -> Wheelhouse:
    """The same with the benchmarks among those asked for that cannot be installed."""
    why = {name: failed.get(need, "its requirements could not be had") for name, need in needs.items()}
    return msgspec.structs.replace(
        whole, failed={name: why[name] for name, need in needs.items() if need not in whole.needs}
    )


@contextmanager
def _new_folder(output: Path) -> Iterator[Path]:
    """A folder beside a wheelhouse whose lock is held; what is there is of one who was killed."""
    folder = output.with_name(f".{output.name}.new")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lock_of(output: Path) -> Path:
    return output.with_name(output.name + ".lock")


@contextmanager
def _locked(output: Path) -> Iterator[None]:
    """Hold a wheelhouse's lock, whose time is that of the last use."""
    path = _lock_of(output)
    failure = EnvironmentMakeError(f"another process holds {path}")
    with hold_lock(path, limit_s=_LOCK_S, failure=failure) as fd:
        os.utime(fd)
        yield
