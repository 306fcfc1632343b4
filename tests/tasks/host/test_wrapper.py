"""The program that pyperf starts its workers with."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchyard.tasks.errors import OptionError
from benchyard.tasks.host.shield import Shield
from benchyard.tasks.host.wrapper import missed, write_wrapper

TELL = "import json, os, signal, sys; print(json.dumps([sys.argv[1:], sys.executable, dict(os.environ)]))"

SHIELD = Shield("1.1", "affinity", "", (0,), (0,))


def tell(wrapper: Path, *arguments: str) -> Any:
    """Run the program and return the arguments, executable and environment of the interpreter."""
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": "", "A": "b c"}
    ran = subprocess.run([wrapper, "-c", TELL, *arguments], capture_output=True, env=environ, timeout=60, check=True)
    assert ran.stderr == b""
    told = json.loads(ran.stdout)
    assert {name: value for name, value in told[2].items() if name != "LC_CTYPE"}.items() >= environ.items()
    return told


def test_arguments_reach_the_interpreter_unchanged(tmp_path: Path) -> None:
    """Whatever a shell would make of them, arguments, environment and interpreter are as they would be without it."""
    arguments = ["", "a b", "$HOME", "*", "`id`", "'", '"', "\\", "-x", "--", "\n", "é"]
    told = tell(write_wrapper(SHIELD, tmp_path, sys.executable), *arguments)
    assert told[:2] == [arguments, sys.executable]


@pytest.mark.parametrize("name", ["a b", "it's", 'a"b', "$(touch x)", "`touch x`", "a;b", "a\nb", "-n", "*", "é"])
def test_paths_are_safe_from_the_shell(tmp_path: Path, name: str) -> None:
    """A run's directory, an interpreter and a group may be called anything."""
    directory = tmp_path / name
    directory.mkdir()
    (directory / "cgroup.procs").write_text("")
    python = directory / "python"
    python.symlink_to(sys.executable)
    shield = Shield("1.1", "cpuset", "", (0,), (0,), str(directory))
    assert tell(write_wrapper(shield, directory, python))[1] == str(python)
    assert (directory / "cgroup.procs").read_text().strip().isdigit()
    assert missed(directory) == 0
    assert not Path("x").exists()


def test_a_worker_goes_on_where_it_cannot_be_moved(tmp_path: Path) -> None:
    """A worker that comes neither into its group nor onto its CPUs still measures, and both are counted."""
    shield = Shield("1.1", "cpuset", "", (63,), (0,), str(tmp_path / "gone"))
    wrapper = write_wrapper(shield, tmp_path, sys.executable)
    assert missed(tmp_path) == 0
    for count in (2, 4):
        assert tell(wrapper)[1] == sys.executable
        assert missed(tmp_path) == count


def test_nothing_is_inherited_from_the_program(tmp_path: Path) -> None:
    """The interpreter is the process that was started, with its open files and ordinary signals."""
    wrapper = write_wrapper(SHIELD, tmp_path, sys.executable)
    reading, writing = os.pipe()
    try:
        program = (
            f"import os, signal; os.write({writing}, b'%d' % os.getpid());"
            "status = open('/proc/self/status').read();"
            "print(status.partition('SigIgn:')[2].split()[0], sorted(os.listdir('/proc/self/fd')))"
        )
        with subprocess.Popen([wrapper, "-c", program], pass_fds=[writing], stdout=subprocess.PIPE) as process:
            said, _ = process.communicate(timeout=60)
        assert int(os.read(reading, 100)) == process.pid
        with subprocess.Popen([sys.executable, "-c", program], pass_fds=[writing], stdout=subprocess.PIPE) as bare:
            expected, _ = bare.communicate(timeout=60)
        assert said == expected
    finally:
        os.close(reading)
        os.close(writing)


def test_exit_status_and_signals_are_the_interpreters(tmp_path: Path) -> None:
    """pyperf sees how its worker ended."""
    wrapper = write_wrapper(SHIELD, tmp_path, sys.executable)
    assert subprocess.run([wrapper, "-c", "raise SystemExit(3)"], timeout=60).returncode == 3
    killed = subprocess.run([wrapper, "-c", "import os; os.kill(os.getpid(), 9)"], timeout=60)
    assert killed.returncode == -signal.SIGKILL


@pytest.mark.parametrize("python", ["python3", "./python", "", "/a\0b"])
def test_the_interpreter_is_an_absolute_path(tmp_path: Path, python: str) -> None:
    """An interpreter that would be looked for is refused: it might be another one than was meant."""
    with pytest.raises(OptionError, match="is not an absolute path$"):
        write_wrapper(SHIELD, tmp_path, python)
