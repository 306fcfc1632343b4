"""`make demo`: a lab in a temporary folder, two real jobs, their comparison, and nothing left behind.

Everything is done by the commands that a user would type; they are shown.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchyard.hosting.reconciling import result_files
from benchyard.tasks.errors import InterpreterError
from benchyard.tasks.interpreter import Interpreter, inspect_interpreter, version_numbers

BENCHMARKS = "json_loads,nbody,pickle_pure_python"
#: The suite and its dependencies have wheels for these.
OLDEST, NEWEST = (3, 9), (3, 14)


def main() -> int:
    """Run the demo; the exit status is 0 if all went well."""
    base, head = choose_interpreters()
    print("A lab on this machine measures two interpreters with pyperformance and compares them.\n")
    print(f"base  {base}  ({inspect_interpreter(base).version})")
    print(f"head  {head}  ({inspect_interpreter(head).version})")
    if base == head:
        print("(there is no other usable Python here, so the same one is measured twice)")
    with tempfile.TemporaryDirectory(prefix="benchyard-demo-") as folder:
        return _run(Path(folder), base, head)


def _run(folder: Path, base: str, head: str) -> int:
    lab = folder / "lab"
    environ = {**os.environ, "BENCHYARD_CONFIG": str(folder / "config.toml")}
    for name in ("BENCHYARD_URL", "BENCHYARD_TOKEN"):
        environ.pop(name, None)
    measure = ["--benchmarks", BENCHMARKS, "--fast", "--attach"]
    try:
        commands: Sequence[Sequence[str]] = (
            ["lab", "init", str(lab)],
            ["lab", "up", str(lab), "--detach"],
            ["submit", "--python", base, "--reason", "demo: base", *measure],
            ["submit", "--python", head, "--reason", "demo: head", *measure],
            ["job", "list"],
            ["result", "list"],
            ["result", "compare", "1", "2", "--include-different"],
        )
        for command in commands:
            status = _benchyard(command, environ)
            if status != 0:
                _show_logs(lab)
                return status
        show_files(lab)
    finally:
        if lab.exists():
            _benchyard(["lab", "down", str(lab)], environ)
    print("\nThe demo's folder is gone again. `make up` makes a lab that stays.")
    return 0


def _benchyard(command: Sequence[str], environ: dict[str, str]) -> int:
    print(f"\n$ benchyard {shlex.join(command)}", flush=True)
    return subprocess.run([sys.executable, "-m", "benchyard.cli", *command], env=environ).returncode


def show_files(lab: Path) -> None:
    """Print the paths of a lab's result files; not of what belongs to one, or is in the trash."""
    print(f"\nThe results are pyperf files below {lab / 'results'}:")
    for path in sorted(result_files(lab / "results")):
        print(f"  {path}")


def _show_logs(lab: Path) -> None:
    for log in (lab / "run" / "lab.log", lab / "master" / "twistd.log"):
        if log.exists():
            print(f"\n--- end of {log}")
            print("\n".join(log.read_text(errors="replace").splitlines()[-20:]))


def choose_interpreters() -> tuple[str, str]:
    """This Python and another installed one of another version; the same twice where there is no other."""
    own = str(Path(sys.executable).resolve())
    version = inspect_interpreter(own).version
    for candidate in _candidates():
        found = _usable(candidate)
        if found is not None and found.version != version:
            older = version_numbers(found) < version_numbers(inspect_interpreter(own))
            return (candidate, own) if older else (own, candidate)
    return own, own


def _candidates() -> Iterator[str]:
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        if found := shutil.which(f"python3.{minor}"):
            yield str(Path(found).absolute())
    yield from sorted(str(path) for path in (Path.home() / ".pyenv" / "versions").glob("3.*/bin/python3"))
    if found := shutil.which("python3", path="/usr/bin:/usr/local/bin"):
        yield found


def _usable(python: str) -> Interpreter | None:
    """The interpreter, if the suite can run on it: recent enough, and able to make an environment."""
    try:
        found = inspect_interpreter(python)
    except InterpreterError:
        return None
    if found.implementation != "cpython" or not OLDEST <= version_numbers(found)[:2] <= NEWEST:
        return None
    modules = subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True, timeout=60)
    return found if modules.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main())
