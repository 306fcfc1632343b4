"""Whether a host is fit to measure, and waiting for it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from sensortree import SensorTree

from benchyard.cli.task import task
from benchyard.tasks.cpus import available_cpus
from benchyard.tasks.host.baseline import FILE, Baseline, read_baseline, write_baseline
from benchyard.tasks.host.checks import CHECKS, Finding, GuardLimits, Severity
from benchyard.tasks.host.guard import GuardReport, Policy, look, wait_until_fit
from benchyard.tasks.host.readings import UNFINISHED, Sensor

DAY_S = 86400.0
CPU = available_cpus()[-1]


class Clock:
    """A clock that goes when something sleeps; `then` is done during the first sleep."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.time = 1000.0
        self.then = then

    def __call__(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        then, self.then = self.then, lambda: None
        then()


def seen(tree: SensorTree, then: Callable[[], object] = lambda: None, **options: Any) -> dict[str, list[Finding]]:
    """Return what a look at CPU 1 of a tree finds, by check; `then` happens meanwhile."""
    clock = Clock(then)
    options = {"now": lambda: 5 * DAY_S, **options}
    findings = look([1], root=tree.root, sleep=clock.sleep, clock=clock, **options)
    return {check: [finding for finding in findings if finding.check == check] for check in CHECKS}


def only(findings: list[Finding]) -> tuple[str, str]:
    """Return severity and message of the only finding."""
    (finding,) = findings
    return finding.severity, finding.message


def test_a_host_without_sensors_has_notes_and_nothing_else(tree: SensorTree) -> None:
    """What cannot be read is a note, never a reason to refuse."""
    found = seen(tree)
    assert {check for check in found if found[check]} == {"temperature", "throttling", "memory", "clock source"}
    assert {finding.severity for findings in found.values() for finding in findings} == {"note"}


def test_a_root_without_anything_has_only_notes(tmp_path: Path) -> None:
    """Not even /proc/stat is needed."""
    findings = look([1], root=tmp_path / "none", window_s=0.0)
    assert {finding.severity for finding in findings} == {"note"}
    assert findings[0].message == "the busy time of CPU 1 cannot be read"


def test_others_who_use_a_measuring_cpu_are_named(tree: SensorTree) -> None:
    """The processes, with pid and share, stand in the message; those on other CPUs do not."""
    tree.process(4711, cpu=1, self_s=50.0)
    tree.process(4712, cpu=0, self_s=50.0)

    def work() -> None:
        tree.process(4711, cpu=1, self_s=50.93)
        tree.process(4712, cpu=0, self_s=50.99)
        tree.use(1, 0.93)
        tree.use(0, 0.99)

    found = seen(tree, work)
    assert only(found["foreign CPU time"]) == ("refuse", "python3 (pid 4711) used 93 % of CPU 1")


def test_processes_too_short_to_be_seen_are_foreign_all_the_same(tree: SensorTree) -> None:
    """Busy time that nobody living explains is refused as that of short-lived processes."""
    found = seen(tree, lambda: tree.use(1, 0.5))
    assert only(found["foreign CPU time"]) == ("refuse", "short-lived processes used 50 % of CPU 1")


def test_the_load_of_other_cpus_is_no_reason(tree: SensorTree) -> None:
    """A build on the housekeeping CPU does not keep the measuring CPU from measuring."""
    assert seen(tree, lambda: tree.use(0, 1.0))["foreign CPU time"] == []


def test_own_processes_are_not_foreign(tree: SensorTree) -> None:
    """Time of the given processes and of all below them is their own."""

    def work(self_s: float) -> None:
        tree.process(50, parent=1, allowed="1")
        tree.process(51, parent=50, self_s=self_s, allowed="1")

    def more() -> None:
        work(0.9)
        tree.use(1, 0.9)

    work(0.0)
    assert seen(tree, more, own_pids=[50])["foreign CPU time"] == []


def test_the_other_half_of_the_core_is_a_doubt(tree: SensorTree) -> None:
    """Work on a CPU that shares the core of a measuring one is a warning that says so."""
    tree.write("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "0-1\n")
    found = seen(tree, lambda: tree.use(0, 0.5))
    message = "short-lived processes used 50 % of CPU 0, which shares a core with measuring CPU 1"
    assert only(found["foreign CPU time"]) == ("warn", message)


@pytest.mark.parametrize(("percent", "refused"), [(5.0, False), (6.0, True)])
def test_the_threshold_is_the_limits(tree: SensorTree, percent: float, refused: bool) -> None:
    """More than the limit of others' time refuses, the limit does not."""
    found = seen(tree, lambda: tree.use(1, percent / 100), limits=GuardLimits(foreign_percent=5.0))
    assert bool(found["foreign CPU time"]) == refused


def set_temperature(tree: SensorTree, celsius: float) -> None:
    """Let the CPU be so warm."""
    tree.write("sys/class/hwmon/hwmon0/name", "coretemp\n")
    tree.write("sys/class/hwmon/hwmon0/temp1_input", f"{round(celsius * 1000)}\n")


def test_the_baseline_is_learned_at_idle_and_heat_is_refused(tree: SensorTree, tmp_path: Path) -> None:
    """The first idle look learns; later, more than the limit above the lowest is refused, the limit is not."""
    state = tmp_path / "state"
    set_temperature(tree, 40.0)
    first = seen(tree, state_dir=state)["temperature"]
    assert only(first) == ("note", "no temperature of this host at idle is known yet")
    set_temperature(tree, 50.0)
    assert seen(tree, state_dir=state)["temperature"] == []
    set_temperature(tree, 51.0)
    message = "coretemp/temp1 is at 51 °C, 11 °C above the 40 °C of idle"
    assert only(seen(tree, state_dir=state)["temperature"]) == ("refuse", message)


def test_a_busy_host_teaches_no_baseline(tree: SensorTree, tmp_path: Path) -> None:
    """What is measured while any CPU works is no temperature of idle."""
    set_temperature(tree, 70.0)
    seen(tree, lambda: tree.use(0, 0.5), state_dir=tmp_path)
    assert read_baseline(tmp_path) == Baseline()


def test_the_baseline_forgets_after_a_week(tmp_path: Path) -> None:
    """A cold night counts for seven days, and days of a clock that was ahead do not count at all."""
    baseline = Baseline().seen([Sensor("x", 20.0)], now=10 * DAY_S)
    assert baseline.seen([Sensor("x", 30.0)], now=16.9 * DAY_S).lowest("x") == 20.0
    assert baseline.seen([Sensor("x", 30.0)], now=17 * DAY_S).lowest("x") == 30.0
    assert baseline.seen([Sensor("x", 30.0)], now=9 * DAY_S).lowest("x") == 30.0
    assert baseline.seen([Sensor("x", 30.0), Sensor("x", 25.0)], now=10 * DAY_S).lowest("x") == 20.0
    assert baseline.seen([], now=30 * DAY_S) == Baseline()
    write_baseline(tmp_path / "new", baseline)
    assert read_baseline(tmp_path / "new") == baseline


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"sensors": {"x": 5}}', b'{"sensors": {"x": {"1": 1e9}}}', b"\xff", b'{"other": 1}'],
)
def test_a_damaged_baseline_is_an_empty_one(tree: SensorTree, tmp_path: Path, content: bytes) -> None:
    """Whatever is in the file, the guard looks, and an idle look replaces it."""
    (tmp_path / FILE).write_bytes(content)
    set_temperature(tree, 40.0)
    seen(tree, state_dir=tmp_path)
    assert read_baseline(tmp_path).lowest("coretemp/temp1") == 40.0


def test_a_state_that_cannot_be_written_is_a_note(tree: SensorTree, tmp_path: Path) -> None:
    """Where the baseline cannot be kept, the look says so and still judges."""
    (tmp_path / "file").write_text("")
    set_temperature(tree, 40.0)
    findings = seen(tree, state_dir=tmp_path / "file")["temperature"]
    assert [finding.severity for finding in findings] == ["note", "note"]
    assert "cannot be kept" in findings[1].message


def test_throttling_is_refused_while_it_goes_on(tree: SensorTree) -> None:
    """A counter that rises during the look refuses; one that has risen once upon a time does not."""
    path = "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count"
    tree.write(path, "7\n")
    assert seen(tree)["throttling"] == []
    found = seen(tree, lambda: tree.write(path, "8\n"))["throttling"]
    assert only(found) == ("refuse", "CPU 0 is being throttled: its counter package_throttle rises")


@pytest.mark.parametrize(
    ("check", "path", "content", "severity", "message"),
    [
        (
            "memory",
            "proc/meminfo",
            "MemAvailable: 1048576 kB\n",
            None,
            "",
        ),
        (
            "memory",
            "proc/meminfo",
            "MemAvailable: 1024 kB\n",
            "refuse",
            "1 MiB of memory are free, 1024 are needed",
        ),
        (
            "clock source",
            "sys/devices/system/clocksource/clocksource0/current_clocksource",
            "tsc\n",
            None,
            "",
        ),
        (
            "clock source",
            "sys/devices/system/clocksource/clocksource0/current_clocksource",
            "hpet\n",
            "warn",
            "the clock source is hpet: reading the time takes microseconds",
        ),
        (
            "pending restart",
            "run/reboot-required",
            "",
            "warn",
            "the host waits for a restart: an update asks for it",
        ),
        (
            "playbooks",
            f"{UNFINISHED}configure",
            "ann@far/20261126T072512\n",
            "refuse",
            "configure.yml of ann@far has not come to its end here; run it again",
        ),
        (
            "logged-in users",
            "run/systemd/sessions/3",
            "USER=ann\nCLASS=user\nTYPE=tty\nTTY=pts/0\n",
            "warn",
            "logged in: ann (pts/0)",
        ),
    ],
)
def test_small_checks(
    tree: SensorTree, check: str, path: str, content: str, severity: str | None, message: str
) -> None:
    """Memory, clock source, a pending restart, people and playbooks are judged by what the host says."""
    tree.write(path, content)
    found = seen(tree)[check]
    assert found == [] if severity is None else only(found) == (severity, message)


def test_a_full_disk_is_refused(tree: SensorTree, tmp_path: Path) -> None:
    """Less room than the limit on the disk of the state directory refuses; without one, no disk is looked at."""
    severity, message = only(seen(tree, state_dir=tmp_path, limits=GuardLimits(disk_mib=1 << 40))["disk"])
    assert severity == "refuse"
    assert message.endswith(f"MiB are free on the disk of {tmp_path}, {1 << 40} are needed")
    assert seen(tree, limits=GuardLimits(disk_mib=1 << 40))["disk"] == []


def test_checks_of_others_are_asked_too(tree: SensorTree) -> None:
    """What the caller's own checks find stands in the look."""
    knob = Finding("knobs", "warn", "the governor is powersave")
    assert knob in look([1], root=tree.root, window_s=0.0, more=[lambda: [knob]])


def answers(*severities: Severity | None) -> Callable[[], list[Finding]]:
    """Return a look that finds these, one after the other, the last for ever; None is nothing."""
    left = list(severities)

    def look() -> list[Finding]:
        severity = left.pop(0) if len(left) > 1 else left[0]
        return [] if severity is None else [Finding("x", severity, "y")]

    return look


@pytest.mark.parametrize(
    ("policy", "severities", "passed", "waited", "left"),
    [
        ("strict", [None], True, 0.0, None),
        ("strict", ["refuse", "refuse", None], True, 10.0, None),
        ("strict", ["refuse"], False, 12.0, "refuse"),
        ("strict", ["warn"], True, 0.0, "warn"),
        ("strict", ["note"], True, 0.0, "note"),
        ("warn", ["refuse"], True, 12.0, "refuse"),
        ("warn", ["refuse", "warn"], True, 5.0, "warn"),
        ("off", ["refuse"], True, 0.0, None),
    ],
)
def test_policies(
    policy: Policy, severities: list[Severity | None], passed: bool, waited: float, left: Severity | None
) -> None:
    """Both policies wait for what refuses, at most for the time given; only `strict` then refuses."""
    clock = Clock()
    report = wait_until_fit(answers(*severities), policy=policy, wait_s=12.0, pause=clock.sleep, clock=clock)
    findings = () if left is None else (Finding("x", left, "y"),)
    assert report == GuardReport(passed=passed, waited_s=waited, findings=findings)


def test_waiting_is_told_once_per_reason() -> None:
    """While the reason stays the same, it is said once."""
    clock, said = Clock(), list[str]()
    look = answers("refuse", "refuse", "refuse", None)
    wait_until_fit(look, policy="strict", wait_s=60.0, pause=clock.sleep, clock=clock, say=said.append)
    assert said == ["benchyard: waiting for the host: y"]


def test_a_pause_may_end_the_wait() -> None:
    """What the pause raises, like the end of the run, ends the wait."""

    def pause(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait_until_fit(answers("refuse"), policy="strict", wait_s=60.0, pause=pause)


def test_a_real_busy_loop_is_refused_by_name_and_waited_for(busy_loop: Callable[..., Any], wait_for: Any) -> None:
    """A loop pinned to the measuring CPU is refused with its name and pid; when it ends, the waiting guard passes."""
    loop = busy_loop(CPU)
    named = f"busyloop (pid {loop.pid}) used "

    def others() -> list[Finding]:  # other work on this machine is not what is tested
        return [finding for finding in look([CPU], window_s=0.5) if named in finding.message]

    (finding,) = wait_for(others, "the loop is found")
    assert (finding.check, finding.severity) == ("foreign CPU time", "refuse")
    assert finding.message.endswith(f"of CPU {CPU}")

    def end(_seconds: float) -> None:
        loop.kill()
        loop.wait(timeout=10)

    report = wait_until_fit(others, policy="strict", wait_s=60.0, pause=end)
    assert (report.passed, report.findings) == (True, ())


def check(*arguments: str) -> Any:
    """Run the command."""
    return CliRunner().invoke(task, ["host-check", *arguments])


def test_the_command_shows_every_check(tmp_path: Path) -> None:
    """host-check prints a line per check, and its status is that of the last line."""
    result = check("--state", str(tmp_path), "--cpus", str(CPU))
    for name in CHECKS:
        assert name in result.output
    fit = "this host is fit to measure" in result.output
    assert result.exit_code == (0 if fit else 1)


def test_the_command_names_what_is_unfit(busy_loop: "Callable[..., subprocess.Popen[bytes]]", wait_for: Any) -> None:
    """With a loop on the measuring CPU the status is 1 under `strict`, and 0 under `warn`, which still names it."""
    loop = busy_loop(CPU)

    def named(policy: str) -> int | None:
        # In a process of its own: the loop is a child of this one, and would be taken for the checker's.
        argv = [sys.executable, "-m", "benchyard.cli", "task", "host-check", "--cpus", str(CPU), "--policy", policy]
        result = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        return result.returncode + 1 if f"busyloop (pid {loop.pid})" in result.stdout else None

    assert wait_for(lambda: named("strict"), "the loop is named") - 1 == 1
    assert wait_for(lambda: named("warn"), "the loop is named") - 1 == 0


def test_the_command_gives_json() -> None:
    """With --json, the report is one document on stdout, and nothing else is."""
    result = check("--json", "--policy", "warn")
    report = msgspec.json.decode(json.dumps(json.loads(result.stdout)), type=GuardReport)
    assert (result.exit_code, report.passed) == (0, True)


@pytest.mark.parametrize("arguments", [("--cpus", "8000"), ("--cpus", "x"), ("--policy", "off"), ("--wait", "-1")])
def test_wrong_usage_has_status_2(arguments: tuple[str, ...]) -> None:
    """CPUs this host lacks, a policy that does not look, and a negative wait are wrong usage."""
    assert check(*arguments).exit_code == 2
