"""What is refused before a job is made."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchyard.config.checks import check_job
from benchyard.config.settings import Settings, load_settings
from benchyard.queueing.requests import Invalid, JobRequest

MakeLab = Callable[..., Path]

PYTHON = str(Path(sys.executable).resolve())
HERE = 'role = "isolated"\ntarget = "linux"\n'
AWAY = HERE + 'address = "bench2.example"\n'


@pytest.fixture
def settings(lab: MakeLab) -> Settings:
    """A lab that measures here and elsewhere, and has another target that nobody measures on."""
    return load_settings(lab("[targets.linux]\n[targets.macos]\n", bench=HERE, away=AWAY))


def refusal(settings: Settings, **asked: Any) -> tuple[str, str]:
    with pytest.raises(Invalid) as refused:
        check_job(settings, JobRequest(**{"python": PYTHON, "target": "linux", **asked}))
    assert "\n" not in str(refused.value)
    return refused.value.field, str(refused.value)


def test_names_are_resolved(settings: Settings) -> None:
    """What is found good has every name resolved and keeps what was asked."""
    checked = check_job(
        settings,
        JobRequest(python=PYTHON, target="linux", benchmarks=("nbody", "json_loads", "-nbody"), affinity="0,0"),
    )
    assert (checked.target, checked.host, checked.spec.python) == ("linux", None, PYTHON)
    assert checked.spec.benchmarks == ("json_loads",)
    assert checked.spec.selection == ("nbody", "json_loads", "-nbody")
    assert checked.spec.affinity == "0"


def test_only_target_need_not_be_named(lab: MakeLab) -> None:
    """A lab with one target measures there."""
    settings = load_settings(lab("[targets.linux]\n"))
    assert check_job(settings, JobRequest(python="/p", benchmarks=("nbody",))).target == "linux"


def test_target_of_the_host(settings: Settings) -> None:
    """Who names a host need not name its target."""
    checked = check_job(settings, JobRequest(python=PYTHON, host="bench", benchmarks=("nbody",)))
    assert (checked.target, checked.host) == ("linux", "bench")


def test_faults(settings: Settings) -> None:
    """Each fault names its field and what to do."""
    assert refusal(settings, target=None) == ("target", "this lab has several; name one of linux, macos")
    assert refusal(settings, target="linuks") == ("target", "unknown target 'linuks'; did you mean 'linux'?")
    assert refusal(settings, target="bsd") == ("target", "unknown target 'bsd'; there are linux, macos")
    assert refusal(settings, host="bnech") == (
        "host",
        "no isolated host 'bnech' measures 'linux'; did you mean 'bench'?",
    )
    assert refusal(settings, target="macos", host="bench") == (
        "host",
        "target 'macos' has no isolated host yet; add one, or leave out the host",
    )
    assert refusal(settings, benchmarks=("nbdoy",)) == (
        "benchmarks",
        "unknown benchmark 'nbdoy'; did you mean 'nbody'?",
    )
    assert refusal(settings, python="python3")[0] == "python"
    assert refusal(settings, python="/p\n")[0] == "python"
    assert refusal(settings, affinity="3-1")[0] == "affinity"


def test_interpreter_is_started_where_it_is_measured(settings: Settings) -> None:
    """What is measured on this machine is tried at once; a path of another machine cannot be."""
    assert refusal(settings, host="bench", python="/no/python") == (
        "python",
        "interpreter '/no/python' does not exist",
    )
    asked: dict[str, Any] = {"python": "/no/python", "benchmarks": ("nbody",), "target": "linux"}
    for host in ("away", None):
        assert check_job(settings, JobRequest(**asked, host=host)).spec.python == "/no/python"


def test_cpus_are_known_here_only(settings: Settings) -> None:
    """A CPU that this machine has not is refused for a host that is this machine."""
    assert refusal(settings, host="bench", affinity="9999")[0] == "affinity"
    asked: dict[str, Any] = {"python": "/p", "benchmarks": ("nbody",), "host": "away"}
    assert check_job(settings, JobRequest(**asked, affinity="999")).spec.affinity == "999"


@pytest.fixture
def pinned(lab: MakeLab) -> Settings:
    """A lab whose target has a pinned interpreter."""
    calibration = f'calibration = {{python = "{PYTHON}", benchmarks = ["nbody"], mode = "fast"}}\n'
    return load_settings(lab(f"[targets.linux]\n{calibration}[targets.macos]\n", bench=HERE))


def test_calibration(pinned: Settings) -> None:
    """A calibration has the target's pinned interpreter and benchmarks, and is never taken for measured before."""
    checked = check_job(pinned, JobRequest(kind="calibrate", host="bench"))
    assert (checked.kind, checked.repeats, checked.host) == ("calibrate", True, "bench")
    assert (checked.spec.python, checked.spec.benchmarks, checked.spec.mode) == (PYTHON, ("nbody",), "fast")
    again = check_job(pinned, JobRequest(kind="calibrate", target="linux", python=PYTHON, benchmarks=("json_loads",)))
    assert again.spec.benchmarks == ("json_loads",)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"kind": "calibrate", "python": "/usr/bin/other"}, f"measures the target's calibration, {PYTHON}, and"),
        ({"kind": "calibrate", "python": None, "ref": "main"}, "and nothing else"),
        ({"kind": "calibrate", "python": None, "flags": ("jit",)}, "leave all else out"),
        ({"kind": "calibrate", "python": None, "target": "macos"}, "target 'macos' has no calibration; add one to"),
        ({"kind": "calibration"}, "did you mean 'calibrate'?"),
    ],
)
def test_calibration_is_of_nothing_else(pinned: Settings, asked: dict[str, Any], message: str) -> None:
    """Another interpreter would spoil what is known of the host."""
    field, said = refusal(pinned, **asked)
    assert (field, message in said) == ("kind", True), said


def test_kinds_need_an_interpreter(settings: Settings) -> None:
    """All other kinds measure what is asked for, and nothing is compared that has no values."""
    assert refusal(settings, kind="profile", python=None)[0] == "python"
    assert refusal(settings, kind="profile", python=None, ref="main", also_base=True)[0] == "also_base"
    assert check_job(settings, JobRequest(kind="memory", python=PYTHON, target="linux")).kind == "memory"
