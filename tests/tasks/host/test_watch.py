"""Whose CPU time it was while benchmarks ran, and what else went on."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensortree import SensorTree

from benchyard.tasks.cpus import available_cpus
from benchyard.tasks.host.conditions import ConditionLimits, Conditions, Culprit, disturbances
from benchyard.tasks.host.cputime import Process, Use, use_between
from benchyard.tasks.host.processtimes import Bound, ProcessTimes, Snapshot
from benchyard.tasks.host.readings import CpuTimes
from benchyard.tasks.host.watch import Watch

CPU = available_cpus()[-1]
RUN = 50  # the pid of the run's supervisor in trees


@pytest.fixture
def watch(tree: SensorTree) -> Iterator[Watch]:
    """Return a watch of CPU 1 of a tree, polled, whose clock is CPU 0's busy time (so that a test can set it)."""
    watch = Watch([1], own=lambda: [RUN], root=tree.root, clock=lambda: tree.busy[0])
    yield watch
    watch.stop()


def test_own_time_is_not_foreign(tree: SensorTree, watch: Watch) -> None:
    """A worker that uses the measuring CPU all the time leaves no foreign time there."""
    tree.process(RUN, allowed="0")
    tree.process(51, parent=RUN, allowed="1")
    moment = watch.mark()
    tree.process(51, parent=RUN, allowed="1", self_s=10.0, switches=3)
    tree.use(0, 10.0)
    tree.use(1, 10.0)
    conditions = watch.since(moment)
    assert (conditions.seconds, conditions.busy_s, conditions.own_cpu_s) == (10.0, 10.0, 10.0)
    assert (conditions.foreign_cpu_s, conditions.culprits, conditions.involuntary_switches) == (0.0, (), 3)
    assert disturbances(conditions) == ()


def test_children_that_live_and_die_between_samples_are_own(tree: SensorTree, watch: Watch) -> None:
    """Their time is in what their parent has waited for; that of one known before moves there and counts once."""
    tree.process(RUN, allowed="1")
    tree.process(51, parent=RUN, allowed="1", self_s=4.0)
    moment = watch.mark()
    tree.end(51)
    tree.process(RUN, allowed="1", children_s=4.0 + 1.0 + 6.0)  # what 51 had, what it still used, other children
    tree.use(0, 7.0)
    tree.use(1, 7.0)
    conditions = watch.since(moment)
    assert (conditions.own_cpu_s, conditions.foreign_cpu_s) == (7.0, 0.0)


def test_foreign_time_is_what_own_time_does_not_explain(tree: SensorTree, watch: Watch) -> None:
    """Others' time beside a busy worker is found to the tick, and named."""
    tree.process(RUN, allowed="1")
    tree.process(60, name="cron job", self_s=7.0)
    moment = watch.mark()
    tree.process(RUN, allowed="1", self_s=6.0)
    tree.process(60, name="cron job", self_s=11.0)
    tree.use(0, 10.0)
    tree.use(1, 10.0)
    conditions = watch.since(moment)
    assert conditions.foreign_cpu_s == pytest.approx(4.0)
    assert conditions.culprits == (Culprit("cron job", 60, 4.0),)
    message = "other processes: cron job (pid 60) 4.00 s; used 4.00 s of the measuring CPUs, 40.0 %"
    assert disturbances(conditions) == (message,)


def test_foreign_processes_that_nobody_saw_are_counted(tree: SensorTree, watch: Watch) -> None:
    """Short-lived foreign processes have no name, and their time is foreign all the same."""
    tree.process(RUN, allowed="1")
    moment = watch.mark()
    tree.use(0, 10.0)
    tree.use(1, 2.0)
    conditions = watch.since(moment)
    assert (conditions.foreign_cpu_s, conditions.culprits) == (2.0, ())
    assert disturbances(conditions) == ("other processes used 2.00 s of the measuring CPUs, 20.0 %",)


def test_children_and_threads_of_others_are_named_where_nothing_else_explains(tree: SensorTree, watch: Watch) -> None:
    """Parents of children that are gone, and processes with several threads, are named for unexplained time."""
    tree.process(70, name="make")
    tree.process(71, name="java", cpu=0, threads=9)
    tree.process(72, name="single", cpu=0)
    moment = watch.mark()
    tree.process(70, name="make", children_s=3.0)
    tree.process(71, name="java", cpu=0, threads=9, self_s=2.0)
    tree.process(72, name="single", cpu=0, self_s=8.0)
    tree.use(0, 10.0)
    tree.use(1, 5.0)
    conditions = watch.since(moment)
    assert conditions.foreign_cpu_s == 5.0
    assert [(culprit.name, culprit.cpu_s) for culprit in conditions.culprits] == [("make", 3.0), ("java", 2.0)]


def test_own_work_on_other_cpus_hides_no_foreign_process(tree: SensorTree, watch: Watch) -> None:
    """What the run uses where it might be, or surely is, elsewhere does not explain time on the measuring CPU."""
    tree.process(RUN, allowed="0-1", cpu=0)
    tree.process(51, parent=RUN, allowed="0", cpu=0)
    tree.process(60, name="intruder")
    moment = watch.mark()
    tree.process(RUN, allowed="0-1", cpu=0, self_s=3.0)
    tree.process(51, parent=RUN, allowed="0", cpu=0, self_s=5.0)
    tree.process(60, name="intruder", self_s=2.0)
    tree.use(0, 8.0)
    tree.use(1, 2.0)
    assert watch.since(moment).foreign_cpu_s == pytest.approx(2.0)


def test_time_that_is_lost_with_a_process_does_not_count_against_the_run(tree: SensorTree, watch: Watch) -> None:
    """A child whose parent ignores its end takes its earlier time along: it is not taken off what is own now."""
    tree.process(RUN, allowed="1")
    tree.process(51, parent=RUN, allowed="1", self_s=100.0)
    moment = watch.mark()
    tree.end(51)
    tree.process(RUN, allowed="1", self_s=5.0)
    tree.use(0, 5.0)
    tree.use(1, 5.0)
    assert watch.since(moment).foreign_cpu_s == 0.0


def test_a_pid_that_is_used_again_is_another_process(tree: SensorTree, watch: Watch) -> None:
    """A new process with an old pid starts at 0, and its time is its own."""
    tree.process(60, name="old", self_s=9.0, start=1)
    moment = watch.mark()
    tree.process(60, name="new", self_s=2.0, start=2)
    tree.use(0, 10.0)
    tree.use(1, 2.0)
    assert watch.since(moment).culprits == (Culprit("new", 60, 2.0),)


def test_a_moment_sees_only_what_came_after_it(tree: SensorTree, watch: Watch) -> None:
    """Two moments of one watch give their own conditions, whatever was sampled between."""
    tree.process(60, name="intruder")
    first = watch.mark()
    tree.process(60, name="intruder", self_s=1.0)
    tree.use(0, 5.0)
    tree.use(1, 1.0)
    second = watch.mark()
    tree.use(0, 5.0)
    watch.sample()
    assert (watch.since(first).foreign_cpu_s, watch.since(first).seconds) == (1.0, 10.0)
    later = watch.since(second)
    assert (later.foreign_cpu_s, later.seconds, later.culprits) == (0.0, 5.0, ())


def test_interrupts_and_stolen_time_are_apart(tree: SensorTree, watch: Watch) -> None:
    """Both are of the measuring CPU alone, and disturb from their limits on."""
    moment = watch.mark()
    tree.irq, tree.steal = {0: 5.0, 1: 0.5}, {0: 5.0, 1: 1.0}
    tree.use(0, 10.0)
    conditions = watch.since(moment)
    assert (conditions.irq_s, conditions.steal_s, conditions.foreign_cpu_s) == (0.5, 1.0, 0.0)
    assert disturbances(conditions) == (
        "other virtual machines used 1.00 s of the measuring CPUs, 10.0 %",
        "interrupts used 0.50 s of the measuring CPUs, 5.0 %",
    )


def test_throttles_count_those_of_the_measuring_cpus(tree: SensorTree) -> None:
    """Cores add up, a package that each of its CPUs shows counts once, other CPUs do not count."""

    def counters(core: int, package: int, other: int) -> None:
        for cpu in (0, 1, 2):
            folder = f"sys/devices/system/cpu/cpu{cpu}/thermal_throttle"
            tree.write(f"{folder}/core_throttle_count", str(core if cpu else other))
            tree.write(f"{folder}/package_throttle_count", str(package))

    watch = Watch([1, 2], own=list, root=tree.root)
    counters(5, 7, 9)
    moment = watch.mark()
    assert watch.since(moment).throttles == 0
    counters(6, 10, 99)
    conditions = watch.since(moment)
    watch.stop()
    assert conditions.throttles == 2 + 3
    assert disturbances(conditions) == ("the measuring CPUs were throttled 5 times",)


def test_frequency_is_that_of_a_busy_cpu(tree: SensorTree, watch: Watch) -> None:
    """Samples while the CPU idles say nothing about the measurement; those while it works give min, mean and max."""
    path = "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq"
    moment = watch.mark()
    for kilohertz, busy in ((3_000_000, 1.0), (800_000, 0.2), (2_000_000, 0.95)):
        tree.write(path, str(kilohertz))
        tree.use(0, 1.0)
        tree.use(1, busy)
        watch.sample()
    conditions = watch.since(moment)
    assert (conditions.mhz_min, conditions.mhz_mean, conditions.mhz_max) == (2000.0, 2500.0, 3000.0)
    assert "the frequency changed between 2000 and 3000 MHz" in disturbances(conditions)


def test_temperature_and_kernel_messages_are_kept(tree: SensorTree, watch: Watch) -> None:
    """The hottest sample is kept, and of the kernel's messages those that are new, the last fifty."""
    log = tree.write("dev/kmsg", "6,1,5,-;old\n")
    moment = watch.mark()
    tree.write("sys/class/thermal/thermal_zone0/temp", "61000")
    with log.open("a") as kernel:
        kernel.writelines(f"6,{number},5,-;message {number}\n" for number in range(2, 62))
        kernel.write("4,62,5,-;mce: CPU1: Core temperature above threshold, cpu clock throttled\n3,63,5,-;other\n")
    conditions = watch.since(moment)
    assert conditions.temperature_max_c == 61.0
    assert len(conditions.kernel_messages) + conditions.kernel_messages_left_out == 62
    assert conditions.kernel_messages[-1] == (3, "other")
    assert disturbances(conditions)[-1].endswith("cpu clock throttled (and 1 more)")
    assert watch.since(watch.mark()).kernel_messages == ()


def test_a_host_that_says_nothing_has_no_disturbance(tree: SensorTree, watch: Watch) -> None:
    """Without counters, sensors and log these are None or empty, and nothing is made of it."""
    (tree.root / "proc/stat").unlink()
    conditions = watch.since(watch.mark())
    assert (conditions.throttles, conditions.mhz_min, conditions.temperature_max_c) == (None, None, None)
    assert (conditions.busy_s, conditions.foreign_cpu_s, conditions.kernel_messages) == (0.0, 0.0, ())
    assert disturbances(conditions) == ()


@pytest.mark.parametrize(("foreign_s", "disturbed"), [(0.09, False), (0.5, False), (1.01, True), (2.0, True)])
def test_small_shares_do_not_disturb(foreign_s: float, disturbed: bool) -> None:
    """Neither less than the clock's rounding nor up to the limit of 1 % is a disturbance."""
    conditions = Conditions(
        seconds=100.0, cpus=1, busy_s=100.0, own_cpu_s=0.0, foreign_cpu_s=foreign_s, irq_s=0.0, steal_s=0.0
    )
    assert bool(disturbances(conditions, ConditionLimits(foreign_percent=1.0))) == disturbed
    short = Conditions(seconds=1.0, cpus=1, busy_s=1.0, own_cpu_s=0.9, foreign_cpu_s=0.09, irq_s=0.0, steal_s=0.0)
    assert disturbances(short) == ()


def test_uses_are_added_and_taken_apart() -> None:
    """What was added after a copy is what `minus` gives; the table of others stays bounded."""
    total = Use(seconds=1.0, busy=1.0, others={Process(1, 1, "a"): 0.5})
    earlier = total.copy()
    total.add(Use(seconds=2.0, busy=0.5, others={Process(1, 1, "a"): 0.25, Process(2, 1, "b"): 0.25}))
    since = total.minus(earlier)
    assert (since.seconds, since.busy, since.foreign) == (2.0, 0.5, 0.5)
    assert {process.name: used for process, used in since.others.items()} == {"a": 0.25, "b": 0.25}
    total.add(Use(others={Process(pid, 1, "c"): 0.001 * pid for pid in range(10, 2000)}))
    assert len(total.others) <= 256
    assert total.culprits(1)[0][0].pid == 1999


class Simulation:
    """A run's processes and others on two CPUs, of whom everything is known."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a simulation, no secret
        self.busy = {0: 0.0, 1: 0.0}
        self.own_on_1 = self.others_on_1 = 0.0
        self.next_pid = 100
        self.processes: dict[int, ProcessTimes] = {}
        self.allowed: dict[int, frozenset[int]] = {}
        self.add(1, own=False)
        self.root = self.add(1, own=True)

    def add(self, parent: int, *, own: bool) -> int:
        pid, self.next_pid = self.next_pid, self.next_pid + 1
        cpus = self.random.choice([{0}, {1}, {0, 1}]) if own else {1}
        self.allowed[pid] = frozenset(cpus)
        self.processes[pid] = ProcessTimes(pid, parent, "x", 0.0, 0.0, pid, min(cpus), 1)
        return pid

    def is_own(self, pid: int) -> bool:
        while pid in self.processes and pid != self.root:
            pid = self.processes[pid].parent
        return pid == self.root

    def step(self) -> None:
        """Let a process run, have a child, or end and be waited for."""
        pid = self.random.choice(list(self.processes))
        process = self.processes[pid]
        what = self.random.random()
        if what < 0.6:
            cpu, used = self.random.choice(sorted(self.allowed[pid])), self.random.random()
            self.processes[pid] = process._replace(self_s=process.self_s + used, cpu=cpu)
            self.busy[cpu] += used
            if cpu == 1 and self.is_own(pid):
                self.own_on_1 += used
            elif cpu == 1:
                self.others_on_1 += used
        elif what < 0.8 and self.is_own(pid):
            self.add(pid, own=True)
        elif pid != self.root and self.is_own(pid):
            for child in [other for other in self.processes.values() if other.parent == pid]:
                self.processes[child.pid] = child._replace(parent=self.root)
            del self.processes[pid]
            parent = self.processes[process.parent]
            gone = process.self_s + process.children_s
            self.processes[parent.pid] = parent._replace(children_s=parent.children_s + gone)

    def snapshot(self, at: float) -> Snapshot:
        own = {pid: Bound(self.allowed[pid], 0) for pid in self.processes if self.is_own(pid)}
        cpus = {cpu: CpuTimes(busy, 0.0, 0.0) for cpu, busy in self.busy.items()}
        return Snapshot(at, cpus, dict(self.processes), own)


@given(st.integers(0, 2**32), st.integers(1, 6))
@settings(max_examples=300, deadline=None)
def test_own_time_is_always_within_its_bounds(seed: int, samples: int) -> None:
    """However processes fork, run, end and are waited for, own and foreign time lie between the bounds.

    A foreign process that lives through all samples, and stays on the measuring CPU, is found exactly.
    """
    simulation = Simulation(seed)
    total = Use()
    before = simulation.snapshot(0.0)
    for sample in range(samples):
        for _ in range(20):
            simulation.step()
        after = simulation.snapshot(sample + 1.0)
        total.add(use_between(before, after, [1]))
        before = after
    assert total.own_low - 1e-6 <= simulation.own_on_1 <= total.own_high + 1e-6
    assert total.busy == pytest.approx(simulation.own_on_1 + simulation.others_on_1)
    assert total.foreign == pytest.approx(simulation.others_on_1, abs=1e-6)


CHILDREN = """
import ctypes, os, resource, sys, time
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
ctypes.CDLL(None).prctl(15, b"ownparent", 0, 0, 0)
os.sched_setaffinity(0, {int(sys.argv[1])})

def used():
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)

print(used(), flush=True)
sys.stdin.readline()
for _ in range(60):
    if not (pid := os.fork()):
        end = time.process_time() + 0.025
        while time.process_time() < end:
            pass
        os._exit(0)
    os.waitpid(pid, 0)
print(used(), flush=True)
sys.stdin.readline()
"""


def test_real_short_lived_children_are_own() -> None:
    """Sixty children of 25 ms, sampled slower than they live: the time found to be own is what the kernel says."""
    argv = [sys.executable, "-c", CHILDREN, str(CPU)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin and parent.stdout
        began = float(parent.stdout.readline())
        watch = Watch([CPU], own=lambda: [parent.pid], every_s=0.2)
        watch.start()
        moment = watch.mark()
        parent.stdin.write(b"\n")
        parent.stdin.flush()
        used = float(parent.stdout.readline()) - began
        conditions = watch.since(moment)
        watch.stop()
        parent.stdin.close()
    assert used > 1.5
    # User and system time, own and children's, each rounded to 10 ms at both ends; the rest of the parent's last write.
    assert conditions.own_cpu_s == pytest.approx(used, abs=0.06)
    assert "ownparent" not in [culprit.name for culprit in conditions.culprits]


def test_a_real_foreign_loop_is_found_beside_a_real_worker(busy_loop: Callable[..., Any], wait_for: Any) -> None:
    """Both pinned to one CPU: the foreign one is named with its time to 10 %, the worker is own."""
    worker, foreign = busy_loop(CPU), busy_loop(CPU)
    process = psutil.Process(foreign.pid)

    def used() -> float:
        times = process.cpu_times()
        return times.user + times.system

    watch = Watch([CPU], own=lambda: [worker.pid], every_s=0.2)
    watch.start()
    moment, began = watch.mark(), used()
    wait_for(lambda: used() - began >= 1.5, "the loop has run")
    conditions, time_s = watch.since(moment), used() - began
    watch.stop()
    (culprit,) = [culprit for culprit in conditions.culprits if culprit.pid == foreign.pid]
    assert culprit.name == "busyloop"
    assert culprit.cpu_s == pytest.approx(time_s, rel=0.1)
    assert conditions.foreign_cpu_s >= 0.9 * time_s
    assert conditions.own_cpu_s > 0.0
    assert worker.pid not in [culprit.pid for culprit in conditions.culprits]
    assert any(f"busyloop (pid {foreign.pid})" in line for line in disturbances(conditions))


def test_a_watch_samples_by_itself_until_it_is_stopped(tree: SensorTree, wait_for: Any) -> None:
    """The thread samples again and again; after stop no thread is left, and the last conditions can still be had."""
    asked: list[float] = []

    def own() -> list[int]:
        asked.append(time.monotonic())
        return []

    watch = Watch([1], own=own, root=tree.root, every_s=0.01)
    watch.start()
    moment = watch.mark()
    wait_for(lambda: len(asked) > 10, "it has sampled")
    watch.stop()
    assert "benchyard-watch" not in [thread.name for thread in threading.enumerate()]
    assert watch.since(moment).cpus == 1
    assert not [file.path for file in psutil.Process().open_files() if file.path.endswith("kmsg")]
