"""Which CPUs of a host measure."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchyard.tasks.cpus import available_cpus, format_cpu_list, online_cpus, parse_cpu_list
from benchyard.tasks.errors import CpuListError
from benchyard.tasks.host.topology import Cpu, Topology, choose_cpus, read_topology

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A function that makes a /sys with these cores (lists of threads), nodes and lists of CPUs."""

    def make(*cores: str, nodes: Mapping[int, str] | None = None, **lists: str) -> Path:
        cpu = tmp_path / "sys/devices/system/cpu"
        for package, core in enumerate(cores):
            for number in parse_cpu_list(core):
                topology = cpu / f"cpu{number}" / "topology"
                topology.mkdir(parents=True)
                (topology / "thread_siblings_list").write_text(f"{core}\n")
                (topology / "physical_package_id").write_text(f"{package // 4}\n")
        online = format_cpu_list(number for core in cores for number in parse_cpu_list(core))
        for name, text in {"online": online, "isolated": "", **lists}.items():
            (cpu / name).write_text(f"{text}\n")
        for node, text in (nodes or {0: online}).items():
            directory = tmp_path / "sys/devices/system/node" / f"node{node}"
            directory.mkdir(parents=True)
            (directory / "cpulist").write_text(f"{text}\n")
        return tmp_path

    return make


ONE, TWO, FOUR, EIGHT = ["0"], ["0", "1"], ["0", "1", "2", "3"], [str(number) for number in range(8)]
NEIGHBOURS = ["0-1", "2-3", "4-5", "6-7"]  # the threads of a core one after the other, as on AMD
APART = ["0,4", "1,5", "2,6", "3,7"]  # all first threads before all second ones, as on Intel
TWO_NODES = {0: "0-3", 1: "4-7"}


@pytest.mark.parametrize(
    ("cores", "nodes", "lists", "measuring", "housekeeping", "idle"),
    [
        (ONE, None, {}, "0", "0", ""),
        (TWO, None, {}, "1", "0", ""),
        (FOUR, None, {}, "3", "0-2", ""),
        (EIGHT, None, {}, "6-7", "0-5", ""),
        (["0-1"], None, {}, "1", "0", ""),
        (["0-1", "2-3"], None, {}, "3", "0-1", "2"),
        (["0,2", "1,3"], None, {}, "3", "0,2", "1"),
        (NEIGHBOURS, None, {}, "5,7", "0-3", "4,6"),
        (APART, None, {}, "6-7", "0-1,4-5", "2-3"),
        (EIGHT, TWO_NODES, {}, "6-7", "0-5", ""),
        # CPU 0's node measures only where the other has not enough cores.
        (EIGHT, {0: "4-7", 1: "0-3"}, {}, "6-7", "0-5", ""),
        (EIGHT, {0: "0-6", 1: "7"}, {}, "5-6", "0-4,7", ""),
        (NEIGHBOURS, {0: "0-3", 1: "4-7"}, {}, "5,7", "0-3", "4,6"),
        # A node may have memory and no CPU.
        (EIGHT, {0: "0-7", 1: ""}, {}, "6-7", "0-5", ""),
        (EIGHT, None, {"isolated": "2-3"}, "2-3", "0-1,4-7", ""),
        (NEIGHBOURS, None, {"isolated": "4-7"}, "5,7", "0-3", "4,6"),
        (NEIGHBOURS, None, {"isolated": "6"}, "6", "0-5", "7"),
        (EIGHT, TWO_NODES, {"isolated": "2-3,7"}, "2-3", "0-1,4-6", "7"),
        (EIGHT, None, {"nohz_full": "3-4"}, "3-4", "0-2,5-7", ""),
        (EIGHT, None, {"nohz_full": "(null)"}, "6-7", "0-5", ""),
    ],
)
def test_split(
    tree: Tree,
    cores: list[str],
    nodes: Mapping[int, str] | None,
    lists: Mapping[str, str],
    measuring: str,
    housekeeping: str,
    idle: str,
) -> None:
    """Isolated CPUs measure, else whole cores of one node with high numbers; nobody else uses their cores."""
    topology = read_topology(tree(*cores, nodes=nodes, **lists))
    split = choose_cpus(topology, available=topology.online)
    assert format_cpu_list(split.measuring) == measuring
    assert format_cpu_list(split.housekeeping) == housekeeping
    assert format_cpu_list(split.idle) == idle


@pytest.mark.parametrize(
    ("cores", "asked", "housekeeping", "idle", "why"),
    [
        (FOUR, (1,), "0,2-3", "", "asked for in the settings"),
        (NEIGHBOURS, (2, 4), "0-1,6-7", "3,5", "asked for in the settings"),
        (["0-1"], (0,), "1", "", "asked for in the settings; the housekeeping shares its core"),
        (TWO, (0, 1), "0-1", "", "asked for in the settings; there is no other CPU for the housekeeping"),
    ],
)
def test_asked_for(
    tree: Tree, cores: list[str], asked: tuple[int, ...], housekeeping: str, idle: str, why: str
) -> None:
    """The CPUs of the settings measure, whatever else is isolated, and what is not ideal is said."""
    topology = read_topology(tree(*cores, isolated="1"))
    split = choose_cpus(topology, available=topology.online, asked=asked)
    assert split.measuring == asked
    assert (format_cpu_list(split.housekeeping), format_cpu_list(split.idle)) == (housekeeping, idle)
    assert split.why == why
    assert split.shares_core == why.endswith("shares its core")


def test_isolated_although_unavailable(tree: Tree) -> None:
    """The kernel takes isolated CPUs out of every process's affinity; they measure all the same."""
    split = choose_cpus(read_topology(tree(*FOUR, isolated="2-3")), available=(0, 1))
    assert (split.measuring, split.housekeeping) == ((2, 3), (0, 1))
    assert split.why == "isolated by the kernel, on NUMA node 0"


def test_unavailable_cpus_do_not_measure(tree: Tree) -> None:
    """In a container with some CPUs of the host, one of these measures, and no other has anything to do."""
    split = choose_cpus(read_topology(tree(*NEIGHBOURS)), available=(1, 4, 5))
    assert (split.measuring, split.housekeeping, split.idle) == ((5,), (1,), (4,))


def test_one_cpu_does_both(tree: Tree) -> None:
    """With one CPU, the split says that there is none for the housekeeping."""
    split = choose_cpus(read_topology(tree(*ONE)), available=(0,))
    assert split.why == "found on NUMA node 0; there is no other CPU for the housekeeping"


@pytest.mark.parametrize("asked", [(8,), (0, 8000)])
def test_a_cpu_the_host_lacks(tree: Tree, asked: tuple[int, ...]) -> None:
    """A CPU that is asked for and not there is refused, and the message names those there are."""
    with pytest.raises(CpuListError, match=r"^no CPU (8|8000) on this host; it has 0-3$"):
        choose_cpus(read_topology(tree(*FOUR)), available=range(4), asked=asked)


def test_nothing_to_split() -> None:
    """No CPU cannot be split, and asking for none is refused."""
    with pytest.raises(CpuListError, match="^there is no CPU to split$"):
        choose_cpus(Topology(()), available=())
    with pytest.raises(CpuListError, match="name at least one CPU$"):
        choose_cpus(Topology(()), available=(0,), asked=())


def test_what_is_read(tree: Tree) -> None:
    """Threads, nodes and packages are read; a thread that is switched off is nobody's sibling."""
    root = tree("0,2", "1,3", nodes={0: "0,2", 1: "1,3"})
    (root / "sys/devices/system/cpu/online").write_text("0-2\n")
    (root / "sys/devices/system/cpu/cpu1/topology/physical_package_id").write_text("1\n")
    topology = read_topology(root)
    assert topology.cpus == (Cpu(0, (0, 2), 0, 0), Cpu(1, (1,), 1, 1), Cpu(2, (0, 2), 0, 0))
    assert topology.online == (0, 1, 2)


@pytest.mark.parametrize("garbage", ["", "\0\xff", "no list", "9-3", "99999999999999999999", "-1", "²"])
def test_garbage(tree: Tree, garbage: str) -> None:
    """Files that say nothing sensible are as good as missing ones."""
    root = tree(*TWO, nodes={0: garbage}, isolated=garbage, nohz_full=garbage)
    for file in root.rglob("topology/*"):
        file.write_bytes(garbage.encode("utf-8"))
    (root / "sys/devices/system/node/node99999999").mkdir()
    (root / "sys/devices/system/node/nodex").write_text(garbage)
    assert read_topology(root) == Topology((Cpu(0, (0,)), Cpu(1, (1,))))


def test_without_sys(tmp_path: Path) -> None:
    """Without /sys, the CPUs are those this process may run on."""
    assert read_topology(tmp_path).online == available_cpus()


def test_this_host() -> None:
    """The topology of this host has all its CPUs, and the split one that measures."""
    topology = read_topology()
    assert topology.online == online_cpus()
    split = choose_cpus(topology, available=available_cpus())
    assert split.measuring
    assert split.housekeeping


@given(
    siblings=st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=10),
    nodes=st.lists(st.integers(0, 2), min_size=10, max_size=10),
    available=st.sets(st.integers(0, 11), min_size=1),
    isolated=st.sets(st.integers(0, 9), max_size=4),
)
def test_no_cpu_is_in_two_parts(
    siblings: list[list[int]], nodes: list[int], available: set[int], isolated: set[int]
) -> None:
    """Whatever the kernel says, somebody measures and somebody keeps house, and the idle do neither."""
    cpus = tuple(
        Cpu(number, tuple(sorted({number, *(one for one in core if one < len(siblings))})), nodes[number])
        for number, core in enumerate(siblings)
    )
    topology = Topology(cpus, isolated=tuple(sorted(one for one in isolated if one < len(siblings))))
    split = choose_cpus(topology, available=available)
    assert split.measuring
    assert split.housekeeping
    assert not set(split.idle) & {*split.measuring, *split.housekeeping}
    assert available <= {*split.measuring, *split.housekeeping, *split.idle}
    if set(split.measuring) & set(split.housekeeping):
        assert set(split.housekeeping) == available <= set(split.measuring)
