"""Wheelhouses: made once, and made again where they are damaged."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from benchyard.tasks.environment import drop_dead_environments, ensure_environment, telling_line
from benchyard.tasks.errors import EnvironmentMakeError
from benchyard.tasks.interpreter import inspect_interpreter
from benchyard.tasks.suite import installed_suite
from benchyard.tasks.wheels import drop_old_wheelhouses, make_wheels, read_wheelhouse

pytestmark = pytest.mark.timeout(300)


@pytest.mark.slow
def test_damage_heals(tmp_path: Path) -> None:
    """An empty wheel, as a power cut leaves it, is noticed, and the wheels are made again; else nothing is made."""
    house = tmp_path / "house"
    left = tmp_path / ".house.new"  # of one who was killed
    (left / "made").mkdir(parents=True)
    said: list[str] = []
    first = make_wheels(sys.executable, ["nbody"], output=house, say=said.append)
    assert not left.exists()
    made = len(said)
    assert make_wheels(sys.executable, ["nbody"], output=house, say=said.append) == first
    assert len(said) == made
    wheel = next(house.glob("pyperf-*.whl"))
    wheel.write_bytes(b"")
    with pytest.raises(EnvironmentMakeError, match="is damaged"):
        read_wheelhouse(house)
    again = make_wheels(sys.executable, ["nbody"], output=house, say=said.append)
    assert (sorted(again.files), wheel.stat().st_size > 0) == (sorted(first.files), True)
    assert read_wheelhouse(house) == again
    assert f"benchyard: {wheel} is damaged; the wheels are made again" in said


def test_old_wheelhouses_go(tmp_path: Path) -> None:
    """Over the limit, those used least recently are dropped; never the one that is asked for, nor one in use."""
    for number, name in enumerate("abc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.whl").write_bytes(b"x" * 100)
        (tmp_path / f"{name}.lock").touch()
        os.utime(tmp_path / f"{name}.lock", (number, number))
    drop_old_wheelhouses(tmp_path, 250, keep="a")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["a", "c"]


@pytest.mark.slow
def test_environments_of_dropped_interpreters_go(tmp_path: Path) -> None:
    """Once an interpreter is gone its environment is, and all that belongs to it; that of another stays."""
    store = tmp_path / "interpreters"
    pythons = []
    for name in ("one", "two"):
        (store / name / "bin").mkdir(parents=True)
        python = store / name / "bin" / "python3"
        python.symlink_to(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
        pythons.append(python)
    suite, environments = installed_suite(), tmp_path / "environments"
    made = []
    for python in pythons:
        interpreter = inspect_interpreter(str(python))
        own = type(interpreter)(
            **{
                **{f: getattr(interpreter, f) for f in interpreter.__struct_fields__},
                "id": python.parent.parent.name * 10,
            }
        )
        made.append(Path(ensure_environment(str(python), own, suite, ["nbody"], environments=environments).path))
    assert drop_dead_environments(environments) == []
    shutil.rmtree(store / "one")
    assert drop_dead_environments(environments) == [made[0].name]
    assert [path.exists() for path in made] == [False, True]
    assert not made[0].with_name(made[0].name + ".json").exists()


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (
            "Collecting x\nERROR: one\nERROR: No matching distribution found for x\n\n[notice] new pip",
            "No matching distribution found for x",
        ),
        (
            "WARNING: Retrying after connection broken by 'X': /x/\nERROR: none",
            "none (the package index does not answer)",
        ),
        ("Looking\nKilled", "Killed"),
        ("", "pip said nothing"),
    ],
)
def test_telling_line(output: str, line: str) -> None:
    """Of pip's output, what says why it failed."""
    assert telling_line(output) == line
