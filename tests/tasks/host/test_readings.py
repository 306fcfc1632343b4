"""What a host says, read from trees on disk and from this machine."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sensortree import SensorTree

from benchyard.tasks.cpus import online_cpus
from benchyard.tasks.host.kernellog import KernelLog, Message, messages_since, parse_records
from benchyard.tasks.host.processtimes import parse_stat, read_processes, take, with_descendants
from benchyard.tasks.host.readings import (
    CpuTimes,
    Login,
    Sensor,
    clock_source,
    cpu_sensors,
    cpu_times,
    free_disk,
    free_memory,
    frequency_mhz,
    logins,
    pending_reboot,
    read_int,
    sibling_cpus,
    temperatures,
    throttle_counts,
)

CPU = "sys/devices/system/cpu/cpu1"
CLOCK = "sys/devices/system/clocksource/clocksource0/current_clocksource"
GARBAGE = [b"", b"\n", b"abc", b"-", b"1 2", b"1.5", b"0x10", b"\xff\xfe", b"\0\0", b"9" * 5000, b"1_0", b"\xd9\xa1"]


@pytest.mark.parametrize("content", GARBAGE)
def test_garbage_is_no_number(tree: SensorTree, content: bytes) -> None:
    """What is not one decimal number reads as None."""
    assert read_int(tree.write("sys/file", content)) is None


@pytest.mark.parametrize("content", GARBAGE)
def test_garbage_everywhere_gives_nothing(tree: SensorTree, content: bytes) -> None:
    """With garbage in every file, each reading is empty and none fails."""
    for path in (
        "proc/stat",
        "proc/meminfo",
        "proc/7/stat",
        "proc/7/status",
        "run/systemd/sessions/1",
        "sys/class/hwmon/hwmon0/temp1_input",
        "sys/class/thermal/thermal_zone0/temp",
        f"{CPU}/thermal_throttle/core_throttle_count",
        f"{CPU}/cpufreq/scaling_cur_freq",
        f"{CPU}/topology/thread_siblings_list",
        "dev/kmsg",
    ):
        tree.write(path, content)
    root = tree.root
    assert (cpu_times(root), free_memory(root), frequency_mhz(1, root), throttle_counts(root)) == (None,) * 4
    assert (temperatures(root), sibling_cpus(1, root), logins(root), messages_since(-1, root)) == ((), (), (), [])
    assert read_processes(root) == {}
    assert take([7], root=root, clock=time.monotonic).processes == {}


def _nothing(root: Path) -> None:
    assert (cpu_times(root), free_memory(root), frequency_mhz(1, root), throttle_counts(root)) == (None,) * 4
    assert (clock_source(root), pending_reboot(root), messages_since(-1, root)) == (None,) * 3
    assert (temperatures(root), sibling_cpus(1, root), logins(root), read_processes(root)) == ((), (), (), {})


def test_an_empty_root_gives_nothing(tmp_path: Path) -> None:
    """Where there is no file, and where not even the root exists, each reading is empty."""
    _nothing(tmp_path)
    _nothing(tmp_path / "missing")
    (tmp_path / "file").write_text("")
    _nothing(tmp_path / "file")


def test_directories_pipes_and_circles_in_place_of_files_give_nothing(tmp_path: Path) -> None:
    """A directory, a pipe nobody writes to, or a link to itself, where a file should be, is no reading."""
    for place, path in enumerate(("proc/stat", "proc/meminfo", f"{CPU}/cpufreq/scaling_cur_freq", CLOCK, "dev/kmsg")):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if place % 3 == 0:
            file.mkdir()
        elif place % 3 == 1:
            os.mkfifo(file)
        else:
            file.symlink_to(file)
    assert (cpu_times(tmp_path), free_memory(tmp_path), frequency_mhz(1, tmp_path), clock_source(tmp_path)) == (
        None,
    ) * 4
    assert not messages_since(-1, tmp_path)


def test_files_that_may_not_be_read_give_nothing(tree: SensorTree) -> None:
    """Another user who may read no file gets empty readings."""
    tree.write("proc/meminfo", "MemAvailable: 1024 kB\n").chmod(0)
    (tree.root / "proc/stat").chmod(0)
    code = (
        "import os, sys; from pathlib import Path\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "os.chdir('/')\n"
        "sys.path[:] = eval(sys.argv[2])\n"
        "import benchyard.tasks.host.readings as r\n"
        "print(r.cpu_times(Path(sys.argv[1])), r.free_memory(Path(sys.argv[1])))\n"
    )
    # The child imports while it is still allowed to, if it is root: what it reads afterwards is only the tree.
    code = code.replace("if os.geteuid", "import benchyard.tasks.host.readings\nif os.geteuid")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tree.root), repr(sys.path)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("None None\n", "")


def test_busy_time_is_user_nice_and_system(tree: SensorTree) -> None:
    """Interrupts and stolen time are apart from busy time, idle and waiting are neither; guests count once."""
    second = os.sysconf("SC_CLK_TCK")
    values = [second * number for number in (1, 2, 4, 100, 200, 8, 16, 32, 1, 2)]
    line = " ".join(map(str, values))
    tree.write("proc/stat", f"cpu  {line}\ncpu0 {line}\ncpu3 {line}\ncpu4 1 2\ncpux {line}\nintr {line}\ncpu5 {line}\n")
    assert cpu_times(tree.root) == {cpu: CpuTimes(7.0, 24.0, 32.0) for cpu in (0, 3)}


@pytest.mark.parametrize(
    ("files", "sensors"),
    [
        (
            {"hwmon0/name": "coretemp", "hwmon0/temp1_input": "45000", "hwmon0/temp1_label": "Package id 0"},
            [("coretemp/Package id 0", 45.0)],
        ),
        ({"hwmon3/name": "k10temp", "hwmon3/temp1_input": "51250"}, [("k10temp/temp1", 51.25)]),
        ({"hwmon0/temp2_input": "30000"}, [("hwmon0/temp2", 30.0)]),
        (
            {"hwmon10/name": "x", "hwmon10/temp1_input": "1000", "hwmon2/name": "x", "hwmon2/temp1_input": "2000"},
            [("x/temp1", 2.0), ("x/temp1 #2", 1.0)],
        ),
        ({"hwmon0/name": "nct6775", "hwmon0/temp1_input": "-128000", "hwmon0/temp2_input": "255000"}, []),
        ({"hwmon0/name": "nct6775", "hwmon0/temp1_input": "-2000"}, [("nct6775/temp1", -2.0)]),
        ({"../thermal/zone0/temp": "40000"}, []),
        (
            {"../thermal/thermal_zone0/temp": "40000", "../thermal/thermal_zone0/type": "acpitz"},
            [("thermal/acpitz", 40.0)],
        ),
        ({"../thermal/thermal_zone1/temp": "40000"}, [("thermal/thermal_zone1", 40.0)]),
    ],
)
def test_temperatures_of_every_vendor(
    tree: SensorTree, files: dict[str, str], sensors: list[tuple[str, float]]
) -> None:
    """Chips and zones are named by what they say; two of one name are told apart, broken sensors left out."""
    for path, content in files.items():
        tree.write(os.path.normpath(f"sys/class/hwmon/{path}"), content + "\n")
    assert temperatures(tree.root) == tuple(Sensor(*sensor) for sensor in sensors)


def test_chips_behind_links_are_found(tree: SensorTree) -> None:
    """In a real /sys, chips and zones are links to devices elsewhere."""
    tree.write("sys/devices/platform/chip/name", "coretemp\n")
    tree.write("sys/devices/platform/chip/temp2_input", "41000\n")
    (tree.root / "sys/class/hwmon").mkdir(parents=True)
    (tree.root / "sys/class/hwmon/hwmon4").symlink_to("../../devices/platform/chip")
    assert temperatures(tree.root) == (Sensor("coretemp/temp2", 41.0),)


def test_the_cpus_sensors_are_preferred() -> None:
    """A disk's temperature counts only where no sensor is known to be the CPU's."""
    disk, cpu = Sensor("nvme/Composite", 60.0), Sensor("k10temp/Tctl", 40.0)
    assert cpu_sensors((disk, cpu)) == (cpu,)
    assert cpu_sensors((disk,)) == (disk,)


def test_throttle_counters_are_read_by_cpu(tree: SensorTree) -> None:
    """Every counter of events is read, times are not."""
    tree.write(f"{CPU}/thermal_throttle/core_throttle_count", "3\n")
    tree.write(f"{CPU}/thermal_throttle/package_throttle_count", "4\n")
    tree.write(f"{CPU}/thermal_throttle/core_throttle_total_time_ms", "99\n")
    assert throttle_counts(tree.root) == {(1, "core_throttle"): 3, (1, "package_throttle"): 4}


def test_small_readings(tree: SensorTree) -> None:
    """Frequency, siblings, clock source and memory are read in their units."""
    tree.write(f"{CPU}/cpufreq/scaling_cur_freq", "2900123\n")
    tree.write(f"{CPU}/topology/thread_siblings_list", "1,5\n")
    tree.write(CLOCK, "tsc\n")
    tree.write("proc/meminfo", "MemTotal: 9 kB\nMemAvailable:    2048 kB\n")
    assert frequency_mhz(1, tree.root) == 2900.123
    assert sibling_cpus(1, tree.root) == (5,)
    assert clock_source(tree.root) == "tsc"
    assert free_memory(tree.root) == 2 << 20


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, None),
        ({"run/reboot-required": ""}, "an update asks for it"),
        (
            {"run/reboot-required": "", "run/reboot-required.pkgs": "linux-image\nlibc6\nlibc6\n"},
            "updates of linux-image, libc6",
        ),
        ({"lib/modules/6.1/x": ""}, None),
        ({"lib/modules/6.0/x": ""}, "the running kernel 6.1 is no longer installed"),
        ({"usr/lib/modules/6.0/x": ""}, "the running kernel 6.1 is no longer installed"),
    ],
)
def test_pending_reboots(tree: SensorTree, files: dict[str, str], reason: str | None) -> None:
    """A marker, or modules of other kernels only, say that a restart waits; no modules at all say nothing."""
    for path, content in files.items():
        tree.write(path, content)
    assert pending_reboot(tree.root, release="6.1") == reason


def test_logins_are_sessions_in_which_somebody_sits(tree: SensorTree) -> None:
    """Terminals count, those who come from afar with it; cron jobs, managers and closing sessions do not."""
    sessions = tree.root / "run/systemd/sessions"
    tree.write(str(sessions / "1"), "USER=ann\nCLASS=user\nTYPE=tty\nTTY=pts/0\nREMOTE_HOST=10.0.0.1\nSTATE=active\n")
    tree.write(str(sessions / "2"), "UID=7\nCLASS=user\nTYPE=tty\nREMOTE_HOST=10.0.0.2\n")
    tree.write(str(sessions / "3"), "USER=root\nCLASS=background\nTYPE=unspecified\n")
    tree.write(str(sessions / "4"), "USER=root\nCLASS=user\nTYPE=unspecified\n")
    tree.write(str(sessions / "5"), "USER=ben\nCLASS=user\nTYPE=tty\nTTY=tty1\nSTATE=closing\n")
    tree.write(str(sessions / "6"), "USER=cat\nCLASS=manager\n")
    assert logins(tree.root) == (Login("ann", "pts/0"), Login("uid 7", "10.0.0.2"))


def test_names_of_processes_may_hold_anything() -> None:
    """A name with blanks, parentheses and bytes that are no text does not move the fields."""
    fields = [b"0"] * 50
    fields[0:2], fields[11:15] = [b"Z", b"4"], [b"100", b"50", b"200", b"0"]
    fields[17], fields[19], fields[36] = b"3", b"77", b"1"
    process = parse_stat(b"12 (a) b (\xff) " + b" ".join(fields), 100)
    assert process is not None
    assert process.name == "a) b (�"
    assert process[:2] + process[3:] == (12, 4, 1.5, 2.0, 77, 1, 3)


def test_descendants_are_found_at_any_depth_and_each_once(tree: SensorTree) -> None:
    """Those below the given processes are found, also where one given is below another or is gone."""
    for pid, parent in ((5, 1), (6, 5), (7, 6), (8, 1), (9, 8)):
        tree.process(pid, parent=parent)
    assert sorted(with_descendants([5, 6, 99], read_processes(tree.root))) == [5, 6, 7]


def test_kernel_messages_are_read_from_a_sequence_number() -> None:
    """Level and text are read; continued lines, other facilities and garbage do no harm."""
    data = b"6,10,1234,-;one\n SUBSYSTEM=cpu\n27,11,1235,-,caller=T1;two;three\nrubbish\n;\n4,x,1;no\n"
    assert parse_records(data) == [Message(10, 6, "one"), Message(11, 3, "two;three")]


def test_only_new_kernel_messages_are_read(tree: SensorTree) -> None:
    """A log opened for what is new gives what was added since, each message once."""
    file = tree.write("dev/kmsg", "6,1,5,-;old\n")
    log = KernelLog.open(tree.root)
    assert log is not None
    assert log.read() == []
    with file.open("a") as kernel:
        kernel.write("4,2,6,-;new\n")
    assert log.read() == [Message(2, 4, "new")]
    assert log.read() == []
    log.close()
    assert messages_since(1, tree.root) == [Message(2, 4, "new")]


def test_this_machine_is_read() -> None:
    """On the real root: CPUs grow busy, this process is found with its time, some memory is free."""
    before = cpu_times()
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    after = cpu_times()
    assert before is not None and after is not None
    assert set(online_cpus()) <= set(after)
    assert sum(times.busy for times in after.values()) > sum(times.busy for times in before.values())
    me = read_processes(Path("/"))[os.getpid()]
    assert me.parent == os.getppid()
    assert abs(me.self_s - time.process_time()) < 1.0
    assert (free_memory() or 0) > 0
    # What is not there on this machine is None, what is there is of its type; nothing fails.
    assert all(-40 <= sensor.celsius <= 150 for sensor in temperatures())
    assert all(count >= 0 for count in (throttle_counts() or {}).values())
    assert all((frequency_mhz(cpu) or 1) > 0 for cpu in online_cpus())
    assert clock_source() is None or clock_source()
    assert isinstance(logins(), tuple)
    assert messages_since(-1) is None or isinstance(messages_since(-1), list)
    assert pending_reboot() is None or isinstance(pending_reboot(), str)


def test_free_disk_is_that_of_the_nearest_folder_there_is(tmp_path: Path) -> None:
    """A folder that is yet to be made is on the disk of the one above it."""
    free = free_disk(tmp_path / "a" / "b")
    assert free is not None
    assert abs(free - shutil.disk_usage(tmp_path).free) < 1 << 30
