"""The environment that benchmarks run in: a virtual environment per interpreter and suite version, made once.

pyperformance asks pip at each run whether everything is there, which costs seconds and changes nothing. Here
a record beside the environment says what was installed; a run that needs nothing more starts no pip at all.

ENVIRONMENTS/NAME         the virtual environment
             NAME.json    the record; taken away while pip works: an environment without one is half-made
             NAME.lock    held while it is made or added to
             NAME.log     what venv and pip printed last
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchyard.tasks.errors import EnvironmentMakeError
from benchyard.tasks.files import tail, write_atomically
from benchyard.tasks.hostlock import hold_lock, try_lock
from benchyard.tasks.interpreter import Interpreter
from benchyard.tasks.suite import Suite

# pyperformance has these in each environment, for benchmarks whose requirements come as source.
_INSTALLER = ("setuptools>=18.5", "wheel")
_OPTIONAL = ("psutil",)
_LOCK_LIMIT_S = 3600.0
_STEP_LIMIT_S = 3600.0
# Of the caller's variables, these would make one interpreter load another's modules.
_FOREIGN = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONEXECUTABLE",
    "VIRTUAL_ENV",
    "__PYVENV_LAUNCHER__",
)


class Record(msgspec.Struct, frozen=True):
    """What an environment has: requirement lists as they were given to pip, and whom it was made for."""

    interpreter: str
    suite_version: str
    made: float
    installed: tuple[tuple[str, ...], ...] = ()


class Environment(msgspec.Struct, frozen=True):
    """An environment ready for the benchmarks that `failed` does not name.

    `failed` maps a benchmark to the end of pip's output; `pip_calls` counts how often pip was started, 0
    where everything was there; `seconds` is the time it took to make sure.
    """

    path: str
    python: str
    failed: dict[str, str]
    made: bool
    pip_calls: int
    seconds: float


def ensure_environment(
    python: str,
    interpreter: Interpreter,
    suite: Suite,
    benchmarks: Sequence[str],
    *,
    environments: Path,
    wheels: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Environment:
    """Return an environment of this interpreter with what the benchmarks require, made or added to where
    needed.

    `python` is the path that was asked for, `benchmarks` are names from `suite.select`. With the folder of
    `wheels`, only these are installed, and nothing is looked for elsewhere. A benchmark
    whose requirements do not install is in `failed`; raises EnvironmentMakeError where not even pyperf
    installs.
    """
    began = time.monotonic()
    environments = environments.resolve()
    environments.mkdir(parents=True, exist_ok=True)
    maker = _Maker(environments / _name(interpreter, suite), say, wheels)
    needs = requirements_of(suite, benchmarks)
    with maker.locked():
        record = maker.record()
        made = record is None
        if record is None:
            record = Record(interpreter.id, suite.label, time.time())
            maker.make(python)
        wanted = {need for need in needs.values() if need}
        missing = sorted(wanted - set(record.installed))
        failures: dict[tuple[str, ...], str] = {}
        if made or missing:
            maker.forget()
            failures = maker.install(missing, base=made)
            done = [need for need in missing if need not in failures]
            maker.remember(msgspec.structs.replace(record, installed=(*record.installed, *done)))
    return Environment(
        path=str(maker.root),
        python=str(maker.python),
        failed={name: failures[need] for name, need in needs.items() if need in failures},
        made=made,
        pip_calls=maker.pip_calls,
        seconds=time.monotonic() - began,
    )


def telling_line(output: str) -> str:
    """The line of pip's output that says most of why it failed: the last of its errors."""
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith("[notice]")]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    last = (errors or lines or ["pip said nothing"])[-1][:200]
    return f"{last} (the package index does not answer)" if "connection broken by" in output else last


def drop_dead_environments(environments: Path) -> list[str]:
    """Remove the environments whose interpreter is gone from this machine; gives their names.

    One that is made or added to just now is left for the next time.
    """
    dropped = []
    for root in sorted(environments.glob("*")):
        python = root / "bin" / "python"
        if not python.is_symlink() or python.exists():
            continue
        lock = try_lock(root.with_name(root.name + ".lock"))
        if lock is None:
            continue
        try:
            for name in (".json", ".log"):
                root.with_name(root.name + name).unlink(missing_ok=True)
            shutil.rmtree(root, ignore_errors=True)
        finally:
            os.close(lock)
        dropped.append(root.name)
    return dropped


def clean_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of the variables without those that belong to the calling Python."""
    return {name: value for name, value in environ.items() if name not in _FOREIGN}


def _name(interpreter: Interpreter, suite: Suite) -> str:
    version = "".join(char if char.isalnum() or char in ".+" else "_" for char in interpreter.version)[:30]
    implementation = "".join(char for char in interpreter.implementation if char.isalnum())[:20]
    return f"{implementation}{version}-{interpreter.id[:12]}-pyperformance{suite.label}"


def requirements_of(suite: Suite, benchmarks: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return, for each benchmark, what its lock file asks for; () where pyperf is all it needs."""
    from pyperformance.venv import Requirements

    return {
        benchmark.name: tuple(str(spec) for spec in Requirements.from_benchmarks([benchmark]))
        for benchmark in suite.load(benchmarks)
    }


def is_optional(spec: str) -> bool:
    """Whether pyperf does without this; psutil's source does not build on every new Python."""
    return spec.startswith(_OPTIONAL)


def pip_arguments(needs: Sequence[tuple[str, ...]]) -> list[str]:
    """Return requirements as pip takes them, each once."""
    specs = dict.fromkeys(spec for need in needs for spec in need)
    return [part for spec in specs for part in (["-r", spec] if spec.endswith(".txt") else [spec])]


def base_requirements() -> tuple[str, ...]:
    """Return what every environment has."""
    from pyperformance.venv import REQUIREMENTS_FILE, Requirements

    return (*_INSTALLER, *(str(spec) for spec in Requirements.from_file(REQUIREMENTS_FILE)))


class _Maker:
    """Makes one environment and adds to it; counts the starts of pip."""

    def __init__(self, root: Path, say: Callable[[str], None], wheels: Path | None) -> None:
        self._wheels = wheels.resolve() if wheels is not None else None
        self.root = root
        self.python = root / "bin" / "python"
        self.pip_calls = 0
        self._record = root.with_name(root.name + ".json")
        self._lock = root.with_name(root.name + ".lock")
        self._log = root.with_name(root.name + ".log")
        self._say = say

    @contextmanager
    def locked(self) -> Iterator[None]:
        failure = EnvironmentMakeError(f"environment {self.root}: another process holds {self._lock}")
        with hold_lock(self._lock, limit_s=_LOCK_LIMIT_S, failure=failure):
            yield

    def record(self) -> Record | None:
        """Return the record of a whole environment, None where there is none or its interpreter has gone."""
        try:
            record = msgspec.json.decode(self._record.read_bytes(), type=Record)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return record if os.access(self.python, os.X_OK) else None

    def remember(self, record: Record) -> None:
        write_atomically(self._record, msgspec.json.encode(record))

    def forget(self) -> None:
        self._record.unlink(missing_ok=True)

    def make(self, python: str) -> None:
        """Make the bare environment; what is there is a half-made one and goes away."""
        self.forget()
        if self.root.exists():
            self._say(f"benchyard: throwing away the half-made environment {self.root}")
            shutil.rmtree(self.root)
        self._say(f"benchyard: making the environment {self.root}")
        self._log.write_bytes(b"")
        if not self._run([python, "-m", "venv", str(self.root)]):
            raise EnvironmentMakeError(f"environment {self.root} cannot be made: {self._last_line()}")

    def install(self, needs: Sequence[tuple[str, ...]], *, base: bool) -> dict[tuple[str, ...], str]:
        """Install what is needed, in one go if that works; returns the end of pip's output by what failed."""
        common = base_requirements() if base else ()
        if self._pip(common, *needs):
            return {}
        if base:
            self._install_base(common)
        failures = {}
        for need in needs:
            if not self._pip(need):
                failures[need] = tail(self._log)
        return failures

    def _install_base(self, common: tuple[str, ...]) -> None:
        if self._pip(common):
            return
        if not self._pip(tuple(spec for spec in common if not is_optional(spec))):
            raise EnvironmentMakeError(f"environment {self.root} cannot be made: {self._last_line()}; see {self._log}")

    def _pip(self, *needs: tuple[str, ...]) -> bool:
        arguments = pip_arguments(needs)
        if not arguments:
            return True
        self._say(f"benchyard: installing {' '.join(arguments)}"[:300])
        self.pip_calls += 1
        options = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
        if self._wheels is not None:
            options += ["--no-index", "--find-links", str(self._wheels), "--only-binary", ":all:"]
        self._log.write_bytes(b"")
        return self._run([str(self.python), "-m", "pip", "install", *options, *arguments])

    def _run(self, argv: list[str]) -> bool:
        with self._log.open("ab") as log:
            try:
                result = subprocess.run(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=clean_environ(os.environ),
                    timeout=_STEP_LIMIT_S,
                    check=False,
                )
            except OSError as exc:
                log.write(f"cannot run {argv[0]}: {exc}\n".encode())
                return False
            except subprocess.TimeoutExpired:
                log.write(f"not done within {_STEP_LIMIT_S:g} s\n".encode())
                return False
        return result.returncode == 0

    def _last_line(self) -> str:
        return tail(self._log, 1).strip() or "it said nothing"
