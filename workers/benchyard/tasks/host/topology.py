"""The CPUs of a host: what shares what, and which of them measure.

What the kernel tells below /sys/devices/system: see Documentation/admin-guide/cputopology.rst and
Documentation/admin-guide/mm/numaperf.rst of Linux.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchyard.tasks.cpus import available_cpus, format_cpu_list, parse_cpu_list
from benchyard.tasks.errors import CpuListError

# From this many CPUs on, one of them more can be spared for measuring.
MANY_CPUS = 8

_SYSTEM = "sys/devices/system"
# Only numbers of at most this many digits are looked at: no Linux has a CPU or node beyond.
_MAX_DIGITS = 5


@dataclass(frozen=True)
class Cpu:
    """One CPU (a hardware thread): `siblings` are all the threads of its core, itself among them."""

    number: int
    siblings: tuple[int, ...]
    node: int = 0
    package: int = 0


@dataclass(frozen=True)
class Topology:
    """The CPUs that are switched on, and those among them which the kernel was started to leave alone.

    `isolated` are kept out of the scheduler's balancing (isolcpus=), `nohz_full` have no timer tick while one
    task runs.
    """

    cpus: tuple[Cpu, ...]
    isolated: tuple[int, ...] = ()
    nohz_full: tuple[int, ...] = ()

    @property
    def online(self) -> tuple[int, ...]:
        """The numbers of all CPUs, ascending."""
        return tuple(cpu.number for cpu in self.cpus)


@dataclass(frozen=True)
class Split:
    """Who does what: `idle` are left unused, as they share a core with a measuring CPU or are isolated for
    nothing; `why` says in one line how it came to be so. With `shares_core`, the housekeeping has another
    thread of a measuring core: there is no other core.
    """

    measuring: tuple[int, ...]
    housekeeping: tuple[int, ...]
    why: str
    idle: tuple[int, ...] = field(default=())
    shares_core: bool = False


def read_topology(root: Path = Path("/")) -> Topology:
    """Read the topology below `root`; what the kernel does not say is taken to be as simple as can be.

    Without /sys, the CPUs are those this process may run on, each a core of its own.
    """
    system = root / _SYSTEM
    online = _read_list(system / "cpu/online") or available_cpus()
    nodes = {cpu: node for node, path in _numbered(system / "node", "node") for cpu in _read_list(path / "cpulist")}
    cpus = []
    for number in online:
        path = system / f"cpu/cpu{number}/topology"
        # `core_cpus_list` is the newer name of the same (Linux 5.3).
        said = _read_list(path / "core_cpus_list") or _read_list(path / "thread_siblings_list")
        siblings = tuple(cpu for cpu in said if cpu in online) if number in said else (number,)
        cpus.append(Cpu(number, siblings, nodes.get(number, 0), _read_number(path / "physical_package_id")))
    return Topology(
        tuple(cpus),
        isolated=tuple(cpu for cpu in _read_list(system / "cpu/isolated") if cpu in online),
        nohz_full=tuple(cpu for cpu in _read_list(system / "cpu/nohz_full") if cpu in online),
    )


def choose_cpus(topology: Topology, *, available: Iterable[int], asked: tuple[int, ...] | None = None) -> Split:
    """Say which CPUs measure: those `asked` for, else those the kernel isolates, else the best that are found.

    `available` are the CPUs this process may run on; the kernel takes isolated ones out of these, which is no
    reason not to measure there. Found are whole cores of one NUMA node, the highest numbers first: CPU 0 takes
    most interrupts, so its core comes last. With one CPU, measuring and housekeeping are both that one. Raises
    CpuListError for an empty list, or if CPUs are asked for that the host has not.
    """
    free = tuple(sorted(set(available)))
    if not free:
        raise CpuListError("there is no CPU to split")
    known = {cpu.number: cpu for cpu in topology.cpus}
    # A CPU that was switched on since, or one in a container whose /sys shows less: a core of its own.
    known.update({cpu: Cpu(cpu, (cpu,)) for cpu in free if cpu not in known})
    if asked is not None:
        return _split(known, free, _checked(asked, known), "asked for in the settings")
    if topology.isolated:
        measuring, node = _pick([known[cpu] for cpu in topology.isolated], known, len(topology.isolated))
        return _split(known, free, measuring, f"isolated by the kernel, on NUMA node {node}", topology.isolated)
    candidates = [known[cpu] for cpu in free if cpu in topology.nohz_full] or [known[cpu] for cpu in free]
    wanted = 2 if len(free) >= MANY_CPUS else 1
    measuring, node = _pick(candidates, known, wanted)
    tickless = ", without timer tick" if set(measuring) <= set(topology.nohz_full) else ""
    return _split(known, free, measuring, f"found on NUMA node {node}{tickless}")


def _checked(asked: tuple[int, ...], known: dict[int, Cpu]) -> tuple[int, ...]:
    measuring = tuple(sorted(set(asked)))
    if not measuring:
        raise CpuListError("the CPU list is empty; name at least one CPU")
    missing = [cpu for cpu in measuring if cpu not in known]
    if missing:
        raise CpuListError(f"no CPU {format_cpu_list(missing)} on this host; it has {format_cpu_list(known)}")
    return measuring


def _pick(candidates: list[Cpu], known: dict[int, Cpu], wanted: int) -> tuple[tuple[int, ...], int]:
    """Return at most `wanted` CPUs, each of another core and all of one node, and that node."""
    cores: dict[tuple[int, ...], Cpu] = {}
    for cpu in candidates:
        cores[cpu.siblings] = max(cores.get(cpu.siblings, cpu), cpu, key=lambda one: one.number)
    away = {siblings: cpu for siblings, cpu in cores.items() if 0 not in siblings}
    # The core of CPU 0 is taken only if there is no other at all, and then rather its other thread than CPU 0.
    nodes: dict[int, list[int]] = {}
    for cpu in (away or cores).values():
        nodes.setdefault(cpu.node, []).append(cpu.number)
    home = known[0].node if 0 in known else None
    # The node with enough cores; of several, one without CPU 0, and the highest.
    best = max(nodes, key=lambda node: (min(len(nodes[node]), wanted), node != home, node))
    return tuple(sorted(sorted(nodes[best])[-wanted:])), best


def _split(
    known: dict[int, Cpu],
    free: tuple[int, ...],
    measuring: tuple[int, ...],
    why: str,
    isolated: tuple[int, ...] = (),
) -> Split:
    """Give the CPUs that do not measure something to do, or nothing."""
    shared = {sibling for cpu in measuring for sibling in known[cpu].siblings}
    rest = [cpu for cpu in free if cpu not in measuring]
    apart = [cpu for cpu in rest if cpu not in shared and cpu not in isolated]
    housekeeping = tuple(apart or rest or free)
    idle = tuple(sorted((shared | set(isolated) | set(rest)) - set(measuring) - set(housekeeping)))
    shares_core = bool(shared & set(housekeeping) - set(measuring))
    if set(measuring) & set(housekeeping):
        why += "; there is no other CPU for the housekeeping"
    elif shares_core:
        why += "; the housekeeping shares its core"
    return Split(measuring, housekeeping, why, idle, shares_core)


def _numbered(directory: Path, prefix: str) -> list[tuple[int, Path]]:
    """Return the entries named `prefix` and a number, by number."""
    try:
        entries = list(directory.iterdir())
    except OSError:
        return []
    found = []
    for entry in entries:
        digits = entry.name.removeprefix(prefix)
        if entry.name.startswith(prefix) and digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS:
            found.append((int(digits), entry))
    return sorted(found)


def _read_list(path: Path) -> tuple[int, ...]:
    """Return the CPUs in a file; none if it is missing, empty or not a list ("(null)" is one such)."""
    try:
        return parse_cpu_list(path.read_text("utf-8", "replace").strip())
    except (OSError, CpuListError):
        return ()


def _read_number(path: Path) -> int:
    """Return the number in a file, 0 if there is none; -1 is how the kernel says that it does not know."""
    try:
        text = path.read_text("ascii").strip()
        return max(0, int(text)) if len(text) <= _MAX_DIGITS else 0
    except (OSError, ValueError):
        return 0
