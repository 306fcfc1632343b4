"""Threads that keep to some CPUs are remembered."""

import os
from typing import Any

import pytest

from benchyard.tasks.host.pinned import Pinned, is_kernel_thread, pin_again, pinned_threads

BUSY = "import os\nprint(os.getpid(), flush=True)\nwhile True: pass"


@pytest.fixture
def pinned(spawn: Any) -> Pinned:
    """A process that keeps to CPU 0."""
    pid = spawn(BUSY).pid
    os.sched_setaffinity(pid, {0})
    (found,) = (found for found in pinned_threads((0, 1, 2)) if found.thread == pid)
    assert found.cpus == (0,)
    return found


def test_threads_that_forgot_are_pinned_again(all_cpus: tuple[int, ...], pinned: Pinned) -> None:
    """A thread that may now run everywhere, as before Linux 6.2 after a move, keeps to its CPUs again."""
    os.sched_setaffinity(pinned.thread, all_cpus)
    pin_again((pinned,), all_cpus)
    assert os.sched_getaffinity(pinned.thread) == {0}


def test_threads_that_chose_others_are_left(all_cpus: tuple[int, ...], pinned: Pinned) -> None:
    """A thread that keeps to other CPUs now, or is another one with the same number, is left alone."""
    pin_again((Pinned(pinned.thread, pinned.start, all_cpus[-1:]),), all_cpus)
    assert os.sched_getaffinity(pinned.thread) == {0}
    os.sched_setaffinity(pinned.thread, all_cpus)
    pin_again((Pinned(pinned.thread, pinned.start + 1, (0,)),), all_cpus)
    assert os.sched_getaffinity(pinned.thread) == set(all_cpus)
    pin_again((Pinned(2**22 + 1, 1, (0,)),), all_cpus)  # no thread has this number


def test_free_threads_are_not_noted(spawn: Any) -> None:
    """Who may run on all CPUs is not in the list."""
    pid = spawn(BUSY).pid
    assert pid not in [found.thread for found in pinned_threads(tuple(sorted(os.sched_getaffinity(pid))))]


def test_kernel_threads_are_told_apart() -> None:
    """kthreadd, which is process 2, is the kernel's; this process is not, and one that has ended is not either."""
    if not is_kernel_thread(2):
        pytest.xfail("the kernel's threads are not seen in this container")
    assert not is_kernel_thread(os.getpid())
    assert not is_kernel_thread(2**22 + 1)
