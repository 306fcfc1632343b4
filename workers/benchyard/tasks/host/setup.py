"""A host made ready for one run, and put back afterwards, whatever ended the run.

The supervisor of a run does this while it holds the host: tune, then shield, and in the end the other way round. What a
killed supervisor left is put back by the next one, or by `lab up`, `lab down` and the like.
"""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchyard.tasks.cpus import online_cpus
from benchyard.tasks.errors import CpuListError, TaskError
from benchyard.tasks.files import write_atomically
from benchyard.tasks.host.abandoned import lower_abandoned
from benchyard.tasks.host.shield import Shield, by_affinity, left_behind, lower, lower_leftovers, raise_shield
from benchyard.tasks.host.topology import choose_cpus, read_topology
from benchyard.tasks.host.tuning import TuningReport, restore, tune
from benchyard.tasks.hostlock import try_lock
from benchyard.tasks.processes import kill_all, marked_by_others
from benchyard.tasks.rundir import HostOrder

_KILL_S = 20.0


class Setup(msgspec.Struct, frozen=True):
    """What a host was made for a run: what was achieved, not what was asked for.

    `why` says how its CPUs were chosen, `tuning` is None where the knobs were left alone, `problems` are what went
    wrong, or cannot be had here; `supervisor` is the process that all of the run descends from.
    """

    shield: Shield
    why: str
    supervisor: int
    tuning: TuningReport | None = None
    problems: tuple[str, ...] = ()


def set_up(state: Path, order: HostOrder, *, run: str, note: Path, supervisor: int, root: Path = Path("/")) -> Setup:
    """Make the host ready for a run, write what it is now into the file `note`, and return that.

    What cannot be done is a problem that the result tells of, and no reason not to measure.
    """
    problems = []
    try:
        available = online_cpus(root / "sys/devices/system/cpu/online")
        split = choose_cpus(read_topology(root), available=available, asked=order.cpus)
    except CpuListError as exc:  # the host has lost a CPU since it was asked for
        problems.append(str(exc))
        split = choose_cpus(read_topology(root), available=available)
    if split.shares_core:
        problems.append("the housekeeping shares a core with the measuring CPUs")
    tuning = None
    if order.tune:
        try:
            tuning = tune(state, measuring=split.measuring, housekeeping=split.housekeeping, root=root)
        except TaskError as exc:
            problems.append(f"not tuned: {exc}")
    shield = by_affinity(run, "it was not asked for", split.measuring, split.housekeeping)
    if order.shield:
        try:
            shield = raise_shield(
                run,
                measuring=split.measuring,
                housekeeping=split.housekeeping,
                idle=split.idle,
                state_dir=state,
                root=root,
            )
        except TaskError as exc:
            problems.append(f"not shielded: {exc}")
    setup = Setup(shield, split.why, supervisor, tuning, tuple(problems))
    write_atomically(note, msgspec.json.encode(setup))
    return setup


def read_setup(path: Path) -> Setup:
    """What a file says; OSError or msgspec.DecodeError where it says nothing."""
    return msgspec.json.decode(path.read_bytes(), type=Setup)


def put_back(state: Path, own: Shield | None = None, *, root: Path = Path("/")) -> list[str]:
    """Give the CPUs back and put the knobs back, by what is noted in the state directory; returns what could not be.

    So it is the same for what was set up just now, and for what a killed supervisor has left. The caller holds the
    host, or knows that nothing is measured. Its `own` shield is lowered even if the state directory is gone; so is
    every shield on this host that nobody looks after any more, of whatever lab.
    """
    return [
        *(_tried("the CPUs were not given back", lambda: lower(own, root=root)) if own is not None else ()),
        *_tried("the CPUs were not given back", lambda: lower_leftovers(root, state)),
        *lower_abandoned(root),
        *(_restored(state, root) if state.is_dir() else ()),
    ]


def mend_host(state: Path) -> list[str]:
    """The same, and an end to what still measures there, if nobody measures; else it is theirs to do.

    The hold is shared, as who prepares takes the host at once when a supervisor is killed, and puts nothing back. So
    several may do this at once: the knobs and the groups have locks of their own, and the later one finds nothing left.
    """
    if not state.is_dir():
        return lower_abandoned(Path("/"))
    host = try_lock(state / "host.lock", shared=True)
    if host is None:
        return []
    runs = Path(os.path.realpath(state)) / "runs"

    def find() -> list[int]:
        return sorted({*marked_by_others(runs, runs), *left_behind(state)})

    try:
        left = kill_all(find, limit_s=_KILL_S)
        return [*([f"these processes do not end: {left}"] if left else []), *put_back(state)]
    finally:
        os.close(host)


def _restored(state: Path, root: Path) -> list[str]:
    problems = []

    def put_knobs_back() -> None:
        report = restore(state, root=root)
        if report.left:
            problems.append(f"these knobs could not be put back: {', '.join(report.left[:5])}")

    return [*_tried("the knobs were not put back", put_knobs_back), *problems]


def _tried(what: str, do: Callable[[], object]) -> list[str]:
    try:
        do()
    except TaskError as exc:
        return [f"{what}: {exc}"]
    return []
