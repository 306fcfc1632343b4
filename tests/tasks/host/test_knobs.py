"""The table of knobs: where they are, how they are read and what they are set to."""

import os
from pathlib import Path

import pytest
from hosttree import ASLR, BOOT_ID, CPU, TREES, make_tree

from benchyard.tasks.host.knobs import (
    KNOBS,
    Context,
    Knob,
    parse_choice,
    parse_cpus,
    parse_flag,
    parse_mask,
    parse_number,
    parse_word,
    siblings,
)
from benchyard.tasks.host.rootfiles import LIMIT, find_names, read_text, write_text

PARSERS = (parse_choice, parse_cpus, parse_flag, parse_mask, parse_number, parse_word)


def _knob(name: str) -> Knob:
    return next(knob for knob in KNOBS if knob.name == name)


def _context(root: Path, measuring: tuple[int, ...] = (3,), housekeeping: tuple[int, ...] = (0, 1, 2)) -> Context:
    return Context(root, measuring, housekeeping)


def test_the_order_of_the_table() -> None:
    """Names are unique; boost comes before the frequency that it limits, and SMT, which hides files, is last."""
    names = [knob.name for knob in KNOBS]
    assert len(set(names)) == len(names)
    assert names.index("boost") < names.index("governor") < names.index("min-frequency")
    assert names[-1] == "smt"


@pytest.mark.parametrize(
    ("text", "value"),
    [("always [madvise] never", "madvise"), ("[always] madvise never", "always"), ("never", "never")],
)
def test_the_choice_in_brackets_is_read(text: str, value: str) -> None:
    """THP's file names all choices and the chosen one in brackets; what we write is the name alone."""
    assert parse_choice(text) == value
    assert parse_choice(value) == value


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "text", ["a b", "0 1", "\x00", "²", "-1,", "[", "[]", "[a] [b]", "x" * LIMIT, "1\n2", "<unknown>"]
)
def test_garbage_is_named_in_one_short_line(parse: "object", text: str) -> None:
    """Whatever is no value of a knob is a ValueError whose message is one short line."""
    assert callable(parse)
    with pytest.raises(ValueError, match=r"^holds [^\n]{1,120}$"):
        parse(text)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [("0-3", "0-2"), ("3", "0-2"), ("2-3", "2"), ("0-1", "0-1"), ("1,0", "1,0"), ("0-7", "0-2")],
)
def test_interrupts_leave_the_measuring_cpus(found: str, wanted: str, tmp_path: Path) -> None:
    """An interrupt keeps its housekeeping CPUs; one that had none gets all; one that does not come here is left."""
    site = _knob("irq-affinity").sites[1]
    assert site.wanted(_context(tmp_path), "proc/irq/1/smp_affinity_list", found) == wanted


@pytest.mark.parametrize(
    ("found", "measuring", "wanted"),
    [
        ("f", (3,), "7"),
        ("0f", (3,), "07"),
        ("8", (3,), "7"),
        ("7", (3,), "7"),
        ("ffffffff,ffffffff", (3, 40), "00000000,00000007"),
    ],
)
def test_masks_are_cut_and_keep_their_width(
    found: str, measuring: tuple[int, ...], wanted: str, tmp_path: Path
) -> None:
    """The mask for new interrupts loses the measuring CPUs, in as many digits and groups as before."""
    site = _knob("irq-affinity").sites[0]
    assert site.wanted(_context(tmp_path, measuring), "proc/irq/default_smp_affinity", found) == wanted


@pytest.mark.parametrize(
    ("driver", "names"),
    [
        ("intel_pstate", [f"{CPU}/intel_pstate/no_turbo"]),
        ("amd-pstate", [f"{CPU}/cpufreq/policy{policy}/boost" for policy in range(4)]),
        ("acpi-cpufreq", [f"{CPU}/cpufreq/boost"]),
        ("arm", []),
        ("guest", []),
    ],
)
def test_boost_is_found_with_every_driver(driver: str, names: list[str], tmp_path: Path) -> None:
    """Each driver has its own file for boost; where there are two kinds, the finer is taken and the other left."""
    found = _knob("boost").find(_context(make_tree(tmp_path, TREES[driver])))
    assert [name for _, name in found] == names


def test_the_frequency_is_the_highest_that_is_allowed(tmp_path: Path) -> None:
    """The lowest frequency is raised to the limit in force; where that is not known, it says so."""
    make_tree(tmp_path, TREES["arm"])
    name = f"{CPU}/cpufreq/policy0/scaling_min_freq"
    (site,) = _knob("min-frequency").sites
    assert site.wanted(_context(tmp_path), name, "600000") == "1800000"
    (tmp_path / CPU / "cpufreq/policy0/scaling_max_freq").unlink()
    with pytest.raises(ValueError, match="the highest frequency is not known: scaling_max_freq: No such file"):
        site.wanted(_context(tmp_path), name, "600000")


@pytest.mark.parametrize(
    ("measuring", "housekeeping", "names"),
    [((3,), (0, 1, 2), ["cpu1"]), ((1, 3), (0, 2), []), ((2,), (0, 1, 3), []), ((2, 3), (0, 1), ["cpu1"])],
)
def test_only_siblings_of_measuring_cpus_go_offline(
    measuring: tuple[int, ...], housekeeping: tuple[int, ...], names: list[str], tmp_path: Path
) -> None:
    """The other thread of a measuring core is found; not a measuring one, and not CPU 0, which has no switch."""
    context = _context(make_tree(tmp_path, TREES["intel_pstate"]), measuring, housekeeping)
    assert [Path(name).parent.name for _, name in _knob("smt").find(context)] == names


def test_smt_has_no_point_without_siblings(tmp_path: Path) -> None:
    """Where nothing shares a core with a measuring CPU, or nothing is known of it, there is nothing to switch."""
    context = _context(make_tree(tmp_path, TREES["guest"]))
    assert siblings(context) == ()
    assert "shares a core" in str(_knob("smt").pointless(context))


@pytest.mark.parametrize(
    "name",
    [
        "etc/passwd",
        f"../{ASLR}",
        f"proc/irq/../../{ASLR}",
        f"proc/irq/../{ASLR}",
        f"x/{ASLR}",
        f"{ASLR}/x",
        "",
        "proc/irq/1/x",
    ],
)
def test_no_other_file_belongs_to_a_knob(name: str) -> None:
    """A journal can name only files of the table."""
    assert [knob.name for knob in KNOBS if knob.site_of(name)] == []


def test_files_are_found_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """Interrupt 2 comes before 10, and names are relative to the root."""
    make_tree(tmp_path, TREES["guest"])
    names = find_names(tmp_path, "proc/irq/[0-9]*/smp_affinity_list")
    assert names == [f"proc/irq/{number}/smp_affinity_list" for number in (2, 10, 11)]
    assert find_names(tmp_path, "proc/nothing/*") == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\xff\xfe1\n", "holds bytes that are no text"),
        (b"1" * 1_000_000, f"holds more than {LIMIT} bytes"),
    ],
)
def test_content_that_is_no_value(data: bytes, message: str, tmp_path: Path) -> None:
    """Empty, binary and endless content is a ValueError of one line."""
    (tmp_path / "knob").write_bytes(data)
    with pytest.raises(ValueError, match=f"^{message}$"):
        read_text(tmp_path, "knob")


def test_what_is_no_file_is_neither_read_nor_waited_for(tmp_path: Path) -> None:
    """A folder, a pipe without a writer and a circle of links in place of a file are errors at once."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    for name in ("folder", "pipe"):
        with pytest.raises(OSError, match="is not a regular file"):
            read_text(tmp_path, name)
        with pytest.raises(OSError, match=name):
            write_text(tmp_path, name, "1")
    with pytest.raises(OSError, match="circle"):
        read_text(tmp_path, "circle")


@pytest.mark.parametrize("target", ["../outside", "/etc/hostname", "../root2/x"])
def test_no_link_leads_out_of_the_root(target: str, tmp_path: Path) -> None:
    """A link out of the root is neither read nor written through, not even to a folder whose name begins alike."""
    root = tmp_path / "root"
    make_tree(root, {BOOT_ID: "x"})
    (tmp_path / "outside").write_text("1\n")
    make_tree(tmp_path / "root2", {"x": "1"})
    (root / "knob").symlink_to(target)
    with pytest.raises(OSError, match="leads out of"):
        read_text(root, "knob")
    with pytest.raises(OSError, match="leads out of"):
        write_text(root, "knob", "2")
    assert (tmp_path / "outside").read_text() == "1\n"


def test_writing_creates_nothing(tmp_path: Path) -> None:
    """A file that is not there stays so."""
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path, "knob", "1")
    assert list(tmp_path.iterdir()) == []
