"""The real bench_runner 2.0.8, as its users compare with it, in a Python environment of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PIN = "bench_runner==2.0.8"

_INSTALL_S, _RUN_S = 600.0, 300.0

# What it wants to be told before it compares files.
_SETTINGS = """\
[bases]
versions = ["3.14.0"]

[runners.linux]
os = "linux"
arch = "x86_64"
hostname = "linux"
"""


class BenchRunner:
    """bench_runner, installed into `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bin = folder / "venv" / "bin"
        uv = Path(sys.executable).with_name("uv")
        _run([str(uv), "venv", "--quiet", "--python", sys.executable, str(folder / "venv")], folder, _INSTALL_S)
        install = [str(uv), "pip", "install", "--quiet", "--python", str(self._bin / "python"), PIN]
        _run(install, folder, _INSTALL_S)
        (folder / "bench_runner.toml").write_text(_SETTINGS, encoding="utf-8")

    def compare(self, base: Path, head: Path, output: Path) -> None:
        """Compare two files, unpacked: tables and plots go to the folder `output`."""
        self.python("-m", "bench_runner", "compare", "--output-dir", str(output), str(base), str(head))

    def python(self, *arguments: str) -> str:
        """Run Python with bench_runner, and return what it prints."""
        return _run([str(self._bin / "python"), *arguments], self.folder, _RUN_S, path=self._bin)


def _run(command: Sequence[str], folder: Path, limit_s: float, path: Path | None = None) -> str:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environ |= {"PATH": f"{path}:{os.environ['PATH']}"} if path is not None else {}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=limit_s)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout
