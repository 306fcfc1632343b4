"""A directory of control groups that answers as the kernel does, for hosts with cgroup v2."""

import errno
import os
import shutil
from pathlib import Path


class Kernel:
    """A directory with the control groups of a host with systemd; writes have the effects that Linux gives them.

    `answers` is what cpuset.cpus.partition reads after a level was written, None if writing it is refused.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.top = root / "sys/fs/cgroup"
        self.own = self.top / "system.slice/lab.service"
        self.answers: dict[str, str | None] = {}
        self.effective: str | None = None
        self.own.mkdir(parents=True)
        (self.top / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
        (self.top / "cgroup.subtree_control").write_text("cpu memory\n")
        for group, pids in ((self.top, [2, 3]), (self.own.parent, []), (self.own, [100, 101])):
            (group / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
        for name, text in (
            ("self/mounts", "proc /proc proc rw 0 0\nbad\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"),
            ("self/cgroup", "0::/system.slice/lab.service\n"),
            ("sys/kernel/random/boot_id", "first-start\n"),
        ):
            path = root / "proc" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def tree(self) -> dict[str, str]:
        """Return all groups and what their files say."""
        return {str(path): path.read_text() for path in sorted(self.top.rglob("*")) if path.is_file()}

    def make_group(self, path: Path) -> None:
        """Make a group with its files."""
        path.mkdir()
        (path / "cgroup.procs").write_text("")
        if "cpuset" in (path.parent / "cgroup.subtree_control").read_text():
            for name in ("cpuset.cpus", "cpuset.cpus.effective"):
                (path / name).write_text("\n")
            (path / "cpuset.cpus.partition").write_text("member\n")

    def remove_group(self, path: Path) -> None:
        """Remove a group, unless something is in it; the CPUs of a partition would go back some time later."""
        level = path / "cpuset.cpus.partition"
        assert not level.exists() or level.read_text() == "member\n"
        if (path / "cgroup.procs").read_text() or any(entry.is_dir() for entry in path.iterdir()):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(path))
        shutil.rmtree(path)

    def write_value(self, path: Path, value: str) -> None:
        """Write a value of a group's file."""
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        if path.name == "cgroup.subtree_control":
            words = set(path.read_text().split()) - {value[1:]} | ({value[1:]} if value[0] == "+" else set())
            value = " ".join(sorted(words))
        elif path.name == "cgroup.procs":
            for other in self.top.rglob("cgroup.procs"):
                other.write_text("".join(f"{pid}\n" for pid in other.read_text().split() if pid != value))
            value = path.read_text() + value
        elif path.name == "cpuset.cpus":
            (path.parent / "cpuset.cpus.effective").write_text(f"{self.effective or value}\n")
        elif path.name == "cpuset.cpus.partition":
            answer = self.answers.get(value, value)
            if answer is None:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))
            value = answer
        path.write_text(f"{value}\n")
