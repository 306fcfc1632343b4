"""A manifest of one benchmark, `spin`, which needs nothing but pyperf."""

from pathlib import Path

METADATA = """\
[project]
name = "benchyard_bm_spin"
requires-python = ">=3.8"
dependencies = ["pyperf"]
dynamic = ["version"]

[tool.pyperformance]
name = "spin"
tags = "own"
"""

SCRIPT = """\
import pyperf


def spin(count):
    while count:
        count -= 1


pyperf.Runner().bench_func("spin", spin, 20_000)
"""


def write_manifest(folder: Path, script: str = SCRIPT, metafile: str = "<local>") -> Path:
    """Make a directory with the manifest and its benchmark; gives the manifest's path."""
    benchmark = folder / "bm_spin"
    benchmark.mkdir(parents=True)
    (benchmark / "pyproject.toml").write_text(METADATA)
    (benchmark / "run_benchmark.py").write_text(script)
    manifest = folder / "MANIFEST"
    manifest.write_text(f"[includes]\n<default>\n\n[benchmarks]\n\nname\tmetafile\nspin\t{metafile}\n")
    return manifest
