"""The knobs of a host that move a measurement: one table of where they are and what they are set to.

pyperf's `system tune` has most of them and is not called: it has no boost of AMD, THP, NMI watchdog or SMT, stops at
the first file that may not be written, and its `reset` writes fixed values, not those that were there. What it does
beyond this table: it clears turbo by MSR on an Intel CPU without intel_pstate (there acpi-cpufreq has cpufreq/boost,
which is here; what has neither is a guest, whose MSR is not its own), and it stops irqbalance (whose presence is told
here: a service is not a file that can be put back after a crash). That amd_pstate can be switched between active and
passive is left alone: it makes all cpufreq files anew, and what was there before could not be restored.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchyard.tasks.cpus import format_cpu_list, parse_cpu_list
from benchyard.tasks.errors import CpuListError
from benchyard.tasks.host.rootfiles import find_names, read_text

_CPU = "sys/devices/system/cpu"
_POLICY = f"{_CPU}/cpufreq/policy*"
_SHOWN = 40


@dataclass(frozen=True)
class Context:
    """What the wanted values depend on."""

    root: Path
    measuring: tuple[int, ...]
    housekeeping: tuple[int, ...]

    @property
    def others(self) -> tuple[int, ...]:
        """The housekeeping CPUs that do not measure as well."""
        return tuple(cpu for cpu in self.housekeeping if cpu not in self.measuring)


Wanted = Callable[[Context, str, str], str]
"""Returns the wanted value from the context, the file's name and the value found; ValueError says why there is none."""


@dataclass(frozen=True)
class Site:
    """Files that are read alike. `parse` returns the value, as it can be written back, or raises ValueError."""

    pattern: str
    parse: Callable[[str], str]
    wanted: Wanted
    concerns: Callable[[Context, str], bool] = lambda _context, _name: True


@dataclass(frozen=True)
class Knob:
    """One knob: all its sites, or if `first` the first of them that is there."""

    name: str
    sites: tuple[Site, ...]
    first: bool = False
    # Set only if asked for.
    optional: bool = False
    # Some files refuse on every host; the others still make it done.
    some_refuse: bool = False
    absent: str = "no such file on this host"
    # Why there is nothing to do here, if so.
    pointless: Callable[[Context], str | None] = lambda _context: None
    # What else a person should know.
    note: Callable[[Context], str | None] = lambda _context: None

    def find(self, context: Context) -> list[tuple[Site, str]]:
        """Return the knob's files on this host."""
        found: list[tuple[Site, str]] = []
        for site in self.sites:
            if not (self.first and found):
                names = find_names(context.root, site.pattern)
                found += [(site, name) for name in names if site.concerns(context, name)]
        return found

    def site_of(self, name: str) -> Site | None:
        """Return the site that a file belongs to, None if it is not of this knob."""
        path = PurePosixPath("/", name)
        if ".." in path.parts:
            return None
        return next((site for site in self.sites if path.match(f"/{site.pattern}")), None)


def _matcher(pattern: str, what: str) -> Callable[[str], str]:
    expression = re.compile(pattern, re.ASCII)

    def parse(text: str) -> str:
        if not expression.fullmatch(text):
            raise _misfit(text, what)
        return text

    return parse


def _misfit(text: str, what: str) -> ValueError:
    return ValueError(f"holds {text[:_SHOWN] + ('...' if len(text) > _SHOWN else '')!r}, not {what}")


parse_flag = _matcher("[01]", "0 or 1")
parse_number = _matcher("[0-9]{1,19}", "a number")
parse_word = _matcher("[A-Za-z0-9_-]{1,32}", "a word")
parse_mask = _matcher("[0-9a-f]{1,8}(?:,[0-9a-f]{8})*", "a mask of CPUs")


def parse_choice(text: str) -> str:
    """Return the chosen one of `always [madvise] never`."""
    chosen = re.findall(r"\[([^\[\]]*)\]", text)
    if len(chosen) > 1:
        raise _misfit(text, "one choice in brackets")
    try:
        return parse_word(chosen[0] if chosen else text)
    except ValueError as exc:
        raise _misfit(text, "one choice in brackets") from exc


def parse_cpus(text: str) -> str:
    """Return a list of CPUs as it stands."""
    try:
        parse_cpu_list(text)
    except CpuListError as exc:
        raise _misfit(text, "a list of CPUs") from exc
    return text


def _always(value: str) -> Wanted:
    return lambda _context, _name, _found: value


def _highest_frequency(context: Context, name: str, _found: str) -> str:
    # The limit in force, not cpuinfo_max_freq: who has set it lower had a reason, heat perhaps. Asked for after boost
    # is off, as that lowers it.
    beside = str(PurePosixPath(name).with_name("scaling_max_freq"))
    try:
        return parse_number(read_text(context.root, beside))
    except (OSError, ValueError) as exc:
        raise ValueError(f"the highest frequency is not known: {PurePosixPath(beside).name}: {_reason(exc)}") from exc


def _reason(exc: OSError | ValueError) -> str:
    return (exc.strerror or str(exc)) if isinstance(exc, OSError) else str(exc)


def _list_off_measuring(context: Context, _name: str, found: str) -> str:
    cpus = set(parse_cpu_list(found))
    if not cpus & set(context.measuring):
        return found
    return format_cpu_list(cpus & set(context.others) or context.others)


def _mask_off_measuring(context: Context, _name: str, found: str) -> str:
    mask = int(found.replace(",", ""), 16)
    measuring, others = _bits(context.measuring), _bits(context.others)
    if not mask & measuring:
        return found
    digits = f"{mask & others or others:0{len(found.replace(',', ''))}x}"
    groups = [digits[max(0, end - 8) : end] for end in range(len(digits), 0, -8)]
    return ",".join(reversed(groups))


def _bits(cpus: tuple[int, ...]) -> int:
    return sum(1 << cpu for cpu in cpus)


def _no_cpu_for_interrupts(context: Context) -> str | None:
    return None if context.others else "every CPU measures; none is left to take the interrupts"


def _irqbalance(context: Context) -> str | None:
    for name in find_names(context.root, "proc/[0-9]*/comm"):
        try:
            if read_text(context.root, name) == "irqbalance":
                return "irqbalance runs and may move them back: stop it, or ban the measuring CPUs in its settings"
        except (OSError, ValueError):
            continue  # the process has ended meanwhile
    return None


def siblings(context: Context) -> tuple[int, ...]:
    """Return the CPUs that share a core with a measuring one and do not measure."""
    found: set[int] = set()
    for cpu in context.measuring:
        try:
            text = read_text(context.root, f"{_CPU}/cpu{cpu}/topology/thread_siblings_list")
            found.update(parse_cpu_list(text))
        except (OSError, ValueError, CpuListError):
            continue
    return tuple(sorted(found - set(context.measuring)))


def _is_sibling(context: Context, name: str) -> bool:
    return PurePosixPath(name).parent.name in {f"cpu{cpu}" for cpu in siblings(context)}


def _offline(context: Context, _name: str, _found: str) -> str:
    switches = {f"{_CPU}/cpu{cpu}/online": cpu for cpu in siblings(context)}
    # CPU 0 mostly has no switch, and stays.
    going = {cpu for name, cpu in switches.items() if (context.root / name).exists()}
    if not set(context.others) - going:
        raise ValueError("taking it offline would leave no CPU for everything else")
    return "0"


def _no_siblings(context: Context) -> str | None:
    return None if siblings(context) else "no other CPU that is online shares a core with a measuring one"


KNOBS: tuple[Knob, ...] = (
    # Boost goes up and down with heat and with what other cores do. The first that is there: intel_pstate has a file
    # of its own; newer Linux has one for each policy (amd-pstate, acpi-cpufreq, cppc); older Linux has one for all.
    # Where both are, the one for all stays as it is: it would overwrite those of the policies, and putting it back
    # would, too.
    Knob(
        "boost",
        (
            Site(f"{_CPU}/intel_pstate/no_turbo", parse_flag, _always("1")),
            Site(f"{_POLICY}/boost", parse_flag, _always("0")),
            Site(f"{_CPU}/cpufreq/boost", parse_flag, _always("0")),
        ),
        first=True,
    ),
    # The highest clock at all times; any other governor answers to the load a benchmark makes, late. On all CPUs,
    # because the clocks of caches and memory follow those that housekeep as well.
    Knob("governor", (Site(f"{_POLICY}/scaling_governor", parse_word, _always("performance")),)),
    # The same for drivers whose `performance` is but a hint. Without boost, this clock is one that the CPU can keep up.
    Knob("min-frequency", (Site(f"{_POLICY}/scaling_min_freq", parse_number, _highest_frequency),)),
    # Full randomisation stays: pyperf measures in many processes, so layouts average out. Without it, all of them
    # would have the same layout, and it would look like a difference between two interpreters.
    Knob("aslr", (Site("proc/sys/kernel/randomize_va_space", _matcher("[012]", "0, 1 or 2"), _always("2")),)),
    # One sample a second: whoever profiles on this host meanwhile disturbs nothing. A job that profiles skips this one.
    Knob("perf-rate", (Site("proc/sys/kernel/perf_event_max_sample_rate", parse_number, _always("1")),)),
    # `always` gives huge pages by how fragmented memory happens to be, so by what ran before; `never` takes them from
    # programs that ask for them, which people's hosts do not do. With `madvise`, who asks gets them and nothing else
    # changes.
    Knob("thp", (Site("sys/kernel/mm/transparent_hugepage/enabled", parse_choice, _always("madvise")),)),
    # It takes a performance counter and an interrupt on every CPU.
    Knob("nmi-watchdog", (Site("proc/sys/kernel/nmi_watchdog", parse_flag, _always("0")),)),
    # Interrupts go to the CPUs that do not measure. Those that the kernel manages itself (a disk's queue for each
    # CPU) refuse everywhere, and come only to a CPU that uses the device.
    Knob(
        "irq-affinity",
        (
            Site("proc/irq/default_smp_affinity", parse_mask, _mask_off_measuring),
            Site("proc/irq/[0-9]*/smp_affinity_list", parse_cpus, _list_off_measuring),
        ),
        some_refuse=True,
        pointless=_no_cpu_for_interrupts,
        note=_irqbalance,
    ),
    # Two threads of a core share its caches and units. Only the siblings of measuring CPUs go: smt/control would take
    # all second threads, a measuring one perhaps among them. Last, as files of an offline CPU cannot be read, and so
    # the first to be put back.
    Knob(
        "smt",
        (Site(f"{_CPU}/cpu[0-9]*/online", parse_flag, _offline, _is_sibling),),
        optional=True,
        absent="no sibling of a measuring CPU can be taken offline",
        pointless=_no_siblings,
    ),
)
