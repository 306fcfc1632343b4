"""How far a result can be trusted."""

from pathlib import Path
from typing import Any

import pytest

from benchyard.tasks.host.checks import Finding
from benchyard.tasks.host.fingerprint import HostPrint
from benchyard.tasks.host.grade import grade, grade_memory
from benchyard.tasks.host.guard import GuardReport
from benchyard.tasks.host.knobreport import KnobReport, Status
from benchyard.tasks.host.setup import Setup, set_up
from benchyard.tasks.host.shield import Shield
from benchyard.tasks.host.tuning import TuningReport
from benchyard.tasks.rundir import HostOrder

METAL = HostPrint(cpu="x", cpus=8)
QUIET = GuardReport(passed=True, waited_s=1.0, findings=(Finding("temperature", "note", "cannot be read"),))


def setup(kind: Any = "partition", detail: str = "", *knobs: KnobReport, **changed: Any) -> Setup:
    shield = Shield("1.1", kind, detail, (1,), (0,))
    fields = {"shield": shield, "why": "", "supervisor": 1, "tuning": TuningReport(knobs)}
    return Setup(**{**fields, **changed})


def test_the_best() -> None:
    """Tuned, isolated and quiet is an A, also where a knob is not there at all."""
    knobs = (
        KnobReport("aslr", Status.ALREADY),
        KnobReport("governor", Status.DONE),
        KnobReport("boost", Status.ABSENT),
    )
    assert grade(setup("partition", "", *knobs), QUIET, METAL).letter == "A"


NOT_PERMITTED = KnobReport("governor", Status.NOT_PERMITTED, detail="Permission denied")
SLIGHT: list[tuple[dict[str, Any], str]] = [
    ({"setup": setup("affinity", "no cpuset here")}, "pinned, but others may use the same CPUs: no cpuset here"),
    ({"setup": setup("cpuset", "2 processes cannot be moved")}, "isolation: 2 processes cannot be moved"),
    ({"setup": setup("partition", "", NOT_PERMITTED)}, "governor: not permitted (Permission denied)"),
    ({"setup": setup(tuning=None)}, "the host's knobs were left as they were"),
    ({"setup": setup(problems=("not tuned: no room",))}, "not tuned: no room"),
    ({"guard": GuardReport(True, 0.0, (Finding("users", "warn", "logged in: ada"),))}, "logged in: ada"),
    ({"host": HostPrint(cpu="x", cpus=2, virtual=True)}, "a virtual machine: what else its hardware does cannot"),
]


@pytest.mark.parametrize(("changed", "reason"), SLIGHT)
def test_in_doubt(changed: dict[str, Any], reason: str) -> None:
    """What may have moved the values makes it a B, and is said."""
    found = grade(**{"setup": setup(), "guard": QUIET, "host": METAL, **changed})
    assert found.letter == "B"
    assert [text for text in found.reasons if text.startswith(reason)]


@pytest.mark.parametrize(("cores", "shares"), [(("0-1",), True), (("0", "1"), False)])
def test_a_shared_core(tmp_path: Path, cores: tuple[str, ...], shares: bool) -> None:
    """On a host of one core, what keeps house takes part of what the measuring thread has: no A."""
    cpu = tmp_path / "sys/devices/system/cpu"
    for number in range(2):
        (cpu / f"cpu{number}/topology").mkdir(parents=True)
        (cpu / f"cpu{number}/topology/thread_siblings_list").write_text(cores[min(number, len(cores) - 1)])
    (cpu / "online").write_text("0-1\n")
    order = HostOrder(tune=False, shield=False)
    made = set_up(tmp_path, order, run="1.1", note=tmp_path / "setup.json", supervisor=1, root=tmp_path)
    found = grade(made, QUIET, METAL)
    assert found.letter == "B"
    assert ("the housekeeping shares a core with the measuring CPUs" in found.reasons) == shares


GRAVE: list[tuple[dict[str, Any], str]] = [
    ({"setup": None}, "the host was not set up for it"),
    ({"setup": setup("none", "no affinity here")}, "not pinned: no affinity here"),
    ({"guard": None}, "nobody looked whether the host was quiet"),
    ({"guard": GuardReport(True, 60.0, (Finding("foreign", "refuse", "make used 90 %"),))}, "make used 90 %"),
    ({"disturbed": ["nbody"]}, "disturbed, again when measured once more: nbody"),
    ({"astray": 3}, "3 processes were not on the measuring CPUs"),
    ({"problem": "the group is gone"}, "the measuring CPUs were not kept free to the end: the group is gone"),
]


@pytest.mark.parametrize(("changed", "reason"), GRAVE)
def test_disturbed(changed: dict[str, Any], reason: str) -> None:
    """What has moved the values, or may have without anybody's knowing, makes it a C, and is said first."""
    found = grade(**{"setup": setup(), "guard": QUIET, "host": METAL, **changed})
    assert found.letter == "C"
    assert found.reasons[0].startswith(reason)


@pytest.mark.parametrize(
    ("text", "letter"),
    [("always [madvise] never", "A"), ("[always] madvise never", "B"), ("garbage", "A"), (None, "A")],
)
def test_memory(tmp_path: Path, text: str | None, letter: str) -> None:
    """Huge pages that are given unasked make a peak a matter of luck."""
    folder = tmp_path / "sys/kernel/mm/transparent_hugepage"
    folder.mkdir(parents=True)
    if text is not None:
        (folder / "enabled").write_text(text)
    found = grade_memory(tmp_path)
    assert found.letter == letter
    assert bool(found.reasons) == (letter != "A")
