"""A tree of /proc and /sys files on disk, for tests of what reads a host below a root directory."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class SensorTree:
    """A root directory with two CPUs, to which a test adds what it wants; times are in seconds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.busy = {0: 0.0, 1: 0.0}
        self.irq = {0: 0.0, 1: 0.0}
        self.steal = {0: 0.0, 1: 0.0}
        self.write_stat()

    def write(self, path: str, content: str | bytes) -> Path:
        """Write a file below the root."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def write_stat(self) -> None:
        """Write /proc/stat from `busy`, `irq` and `steal`; idle grows by itself."""
        lines = ["cpu  1 1 1 1 1 1 1 1 0 0"]
        for cpu, busy in self.busy.items():
            irq, steal = round(self.irq[cpu] * TICKS), round(self.steal[cpu] * TICKS)
            lines.append(f"cpu{cpu} {round(busy * TICKS)} 0 0 5000 3 {irq} 0 {steal} 0 0")
        self.write("proc/stat", "\n".join([*lines, "intr 1 2 3", "ctxt 5"]) + "\n")

    def use(self, cpu: int, seconds: float) -> None:
        """Let a CPU have been busy."""
        self.busy[cpu] += seconds
        self.write_stat()

    def process(
        self,
        pid: int,
        *,
        name: str = "python3",
        parent: int = 1,
        self_s: float = 0.0,
        children_s: float = 0.0,
        start: int = 100,
        cpu: int = 1,
        threads: int = 1,
        allowed: str | None = "0-1",
        switches: int = 0,
    ) -> None:
        """Write the stat and status of a process."""
        fields = ["0"] * 50
        fields[0:2] = ["S", str(parent)]
        fields[11], fields[13] = str(round(self_s * TICKS)), str(round(children_s * TICKS))
        fields[17], fields[19], fields[36] = str(threads), str(start), str(cpu)
        self.write(f"proc/{pid}/stat", f"{pid} ({name}) {' '.join(fields)}\n")
        status = f"Name:\t{name}\n" + (f"Cpus_allowed_list:\t{allowed}\n" if allowed else "")
        self.write(f"proc/{pid}/status", status + f"nonvoluntary_ctxt_switches:\t{switches}\n")

    def end(self, pid: int) -> None:
        """Take a process away."""
        for name in ("stat", "status"):
            (self.root / f"proc/{pid}/{name}").unlink()
        (self.root / f"proc/{pid}").rmdir()
