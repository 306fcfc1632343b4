"""Starting, restarting and stopping real programs."""

import os
import re
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from benchyard.daemon import DaemonError, Program, supervise
from benchyard.daemon.child import next_delay

if TYPE_CHECKING:
    from tests.daemon.conftest import Wait, Yard

STEADY = "ready()\nwhile True: time.sleep(60)\n"
POLITE = (
    "def stop(*_):\n"
    "    note('stopped')\n"
    "    sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, stop)\n"
    "note('started')\n" + STEADY
)
STUBBORN = "signal.signal(signal.SIGTERM, lambda *_: note('refused'))\n" + STEADY


def test_restart_after_kill(yard: "Yard", wait_for: "Wait") -> None:
    """A program killed with SIGKILL is started again, as a new process."""
    yard.up(yard.program("web", STEADY))
    first = yard.pid_of("web")
    os.kill(first, signal.SIGKILL)
    second = yard.pid_of("web", other_than=first)
    assert psutil.pid_exists(second)
    assert "web: killed by SIGKILL, starting it again in 1 s" in yard.said()


def test_restart_takes_the_remnant_along(yard: "Yard", wait_for: "Wait") -> None:
    """What a killed program leaves in its group is ended before the program is started again."""
    parent = (
        "child = os.fork()\n"
        "if child == 0:\n"
        "    while True: time.sleep(60)\n"
        "Path(f'child-{os.getpid()}').write_text(str(child))\n" + STEADY
    )
    yard.up(yard.program("web", parent))
    first = yard.pid_of("web")
    orphan = int((yard.folder / f"child-{first}").read_text())
    yard.pids.add(orphan)
    os.kill(first, signal.SIGKILL)
    second = yard.pid_of("web", other_than=first)
    yard.pids.add(int((yard.folder / f"child-{second}").read_text()))
    assert not yard.lives(orphan)


def test_program_that_cannot_start_stops_no_other(yard: "Yard", wait_for: "Wait") -> None:
    """A program whose file does not exist is reported and tried again, while the others run."""
    broken = yard.program("broken", "") | {"argv": [str(yard.folder / "nothing")]}
    yard.up(broken, yard.program("web", STEADY))
    yard.pid_of("web")
    wait_for(lambda: yard.said().count("broken: cannot start") >= 2, "two tries")
    assert re.search(r"broken: cannot start: .*nothing'?, starting it again in 2 s", yard.said())


def test_stop_order(yard: "Yard", wait_for: "Wait") -> None:
    """Programs start in the given order and stop in the reverse one, each before the next is asked."""
    supervisor = yard.up(*(yard.program(name, POLITE) for name in ("one", "two", "three")))
    for name in ("one", "two", "three"):
        yard.pid_of(name)
    supervisor.terminate()
    assert supervisor.wait(60) == 0
    assert re.findall(r"(\w+): started", yard.said()) == ["one", "two", "three"]
    assert [line for line in yard.journal() if "stopped" in line] == [
        "three stopped",
        "two stopped",
        "one stopped",
    ]


def test_own_stop_order(yard: "Yard", wait_for: "Wait") -> None:
    """`stop_order` overrides the reverse order."""
    supervisor = yard.up(*(yard.program(name, POLITE) for name in ("one", "two")), stop_order=["one", "two"])
    for name in ("one", "two"):
        yard.pid_of(name)
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(60) == 0
    assert [line for line in yard.journal() if "stopped" in line] == ["one stopped", "two stopped"]


def test_stubborn_program_is_killed_after_grace(yard: "Yard", wait_for: "Wait") -> None:
    """A program that ignores SIGTERM gets SIGKILL after the grace, and the supervisor ends."""
    supervisor = yard.up(yard.program("web", STUBBORN), grace_s=1.0)
    pid = yard.pid_of("web")
    supervisor.terminate()
    assert supervisor.wait(60) == 0
    assert yard.journal() == ["web refused"]
    assert not yard.lives(pid)
    assert "web: did not stop within 1 s and was killed" in yard.said()


def test_stop_while_waiting_for_a_restart(yard: "Yard", wait_for: "Wait") -> None:
    """A program that is waiting for its restart when the supervisor stops is not started again."""
    supervisor = yard.up(yard.program("web", "note('started')\nsys.exit(3)\n"))
    wait_for(lambda: "web: ended with status 3, starting it again in 2 s" in yard.said(), "second delay")
    supervisor.terminate()
    assert supervisor.wait(60) == 0
    assert yard.journal() == ["web started"] * 2


def test_output_is_appended_to_the_log(yard: "Yard", wait_for: "Wait") -> None:
    """Output and errors of every life of a program are in its log."""
    yard.up(yard.program("web", "print('out', flush=True)\nprint('err', file=sys.stderr)\n"))
    log = yard.folder / "logs" / "web.log"
    wait_for(lambda: log.exists() and log.read_text() == "out\nerr\n" * 2, "two lives in the log")


@pytest.mark.parametrize("index", [0, -1])
def test_programs_run_on_their_cpus(yard: "Yard", wait_for: "Wait", index: int) -> None:
    """A program is on the CPUs it was given from its start, and the supervisor stays on its own."""
    mine = sorted(os.sched_getaffinity(0))
    code = "Path('cpus').write_text(repr(sorted(os.sched_getaffinity(0))))\n" + STEADY
    supervisor = yard.up(yard.program("web", code, cpus=[mine[index]]), yard.program("free", STEADY))
    pid = yard.pid_of("web")
    assert (yard.folder / "cpus").read_text() == repr([mine[index]])
    assert os.sched_getaffinity(pid) == {mine[index]}
    assert sorted(os.sched_getaffinity(supervisor.pid)) == mine
    assert sorted(os.sched_getaffinity(yard.pid_of("free"))) == mine


def test_environment_is_the_given_one(yard: "Yard", wait_for: "Wait") -> None:
    """A program sees its own variables and the supervisor's mark, and nothing of the supervisor's."""
    program = yard.program("web", STEADY) | {"env": {"ONLY": "this"}}
    yard.up(program)
    environ = psutil.Process(yard.pid_of("web")).environ()
    environ.pop("LC_CTYPE", None)  # CPython's own (PEP 538)
    assert environ == {"ONLY": "this", "BENCHYARD_SUPERVISOR": str(yard.lock.resolve())}


def test_delays_double_and_start_anew() -> None:
    """The delay before a restart doubles from 1 s to 30 s, and is 1 s again after a life of a minute."""
    delays, last = [], None
    for _ in range(7):
        last = next_delay(last, lived_s=0.1)
        delays.append(last)
    assert delays == [1, 2, 4, 8, 16, 30, 30]
    assert next_delay(30.0, lived_s=60.0) == 1


def test_names_and_order_are_checked(yard: "Yard") -> None:
    """Two programs of one name, or an order that leaves one out, are refused before anything is started."""
    web = Program("web", ["true"], yard.folder, {}, None, yard.folder / "log")
    with pytest.raises(DaemonError, match="same name"):
        supervise([web, web], lock=yard.lock, say=print)
    with pytest.raises(DaemonError, match="stop_order"):
        supervise([web], lock=yard.lock, say=print, stop_order=[])
    assert not yard.lock.exists()
