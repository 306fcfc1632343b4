"""The kinds of jobs: one registry, and what each of them runs."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchyard.cli.task import task
from benchyard.steps import kinds
from benchyard.steps.commands import HostCare, measuring_arguments
from benchyard.steps.kinds import UnknownKind, find_kind, known_kinds
from benchyard.store.rows import Attempt, Job

MakeJob = Callable[..., Job]
MakeAttempt = Callable[..., Attempt]

CARE = HostCare("1", guard="strict")


def test_known_kinds() -> None:
    """The default comes first, the others by name; it is the one that requests have."""
    from benchyard.queueing.requests import DEFAULT_KIND

    assert list(known_kinds()) == [DEFAULT_KIND, "calibrate", "memory", "profile"]
    assert [kind.name for kind in known_kinds().values() if kind.default] == [DEFAULT_KIND]


def test_one_file_adds_a_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module beside the others is all that a new kind needs."""
    (tmp_path / "counted.py").write_text(
        "from benchyard.steps.kinds.kind import Kind, measuring\n"
        "KIND = Kind(name='counted', meaning='m', command='run-benchmarks', arguments=measuring)\n"
    )
    (tmp_path / "helper.py").write_text("KIND = 3\n")
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    known_kinds.cache_clear()
    try:
        assert find_kind("counted").meaning == "m"
        assert "helper" not in known_kinds()
    finally:
        known_kinds.cache_clear()
        for name in ("counted", "helper"):
            sys.modules.pop(f"{kinds.__name__}.{name}", None)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("profil", "no kind of job 'profil'; did you mean 'profile'?"),
        ("x" * 200, f"no kind of job '{'x' * 80}'; there are benchmarks, calibrate, memory, profile"),
    ],
)
def test_unknown_kind(name: str, hint: str) -> None:
    """Another name is answered with those that there are."""
    with pytest.raises(UnknownKind) as refused:
        find_kind(name)
    assert str(refused.value) == hint


@pytest.mark.parametrize("name", list(known_kinds()))
def test_options_are_those_of_the_command(make_job: MakeJob, make_attempt: MakeAttempt, name: str) -> None:
    """The host's `benchyard task` knows each command, and every option that it is given."""
    kind = find_kind(name)
    job = make_job(mode="fast", loops={"nbody": 4})
    options, run = measuring_arguments(job, make_attempt(), kind, state="/state", care=CARE, limit_s=60.0)
    for command, words in (("attach", options), (kind.command, run)):
        known = {option for parameter in task.commands[command].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known
    assert run[run.index("--report") + 1] == "/state/runs/7.2/report.json"


def test_memory(make_job: MakeJob, make_attempt: MakeAttempt) -> None:
    """Memory is measured on a host that is left as it is, and no loop counts are taken."""
    job = make_job(loops={"nbody": 4})
    options, run = measuring_arguments(
        job, make_attempt(), find_kind("memory"), state="/state", care=CARE, limit_s=60.0
    )
    assert options[-2:] == ("--no-tune", "--no-shield")
    assert run[-1] == "--track-memory"
    assert "--loops" not in run
    assert run[run.index("--guard") + 1] == "off"


def test_profile(make_job: MakeJob, make_attempt: MakeAttempt) -> None:
    """A profile is written where its result is fetched from; tuning would keep perf from taking samples."""
    kind = find_kind("profile")
    options, run = measuring_arguments(make_job(), make_attempt(), kind, state="/state", care=CARE, limit_s=60.0)
    assert options[-1] == "--no-tune"
    assert f"{run[run.index('--output') + 1]}/profile.json" == f"/state/runs/7.2/{kind.result}"


def test_a_host_that_is_left_alone_stays_so(make_job: MakeJob, make_attempt: MakeAttempt) -> None:
    """What the host's file forbids, no kind does."""
    care = HostCare(tune=False, shield=False, guard="off")
    for kind in known_kinds().values():
        options, _run = measuring_arguments(make_job(), make_attempt(), kind, state="/s", care=care, limit_s=60.0)
        assert options[-2:] == ("--no-tune", "--no-shield")
