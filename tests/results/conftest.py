"""Result files for the tests: real ones, and ones made to the point."""

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

MakeFile = Callable[..., bytes]


@pytest.fixture(scope="session")
def real_files(real_results: Path) -> tuple[Path, ...]:
    """The real result files with bench_runner's names, by date."""
    found = tuple(sorted(real_results.glob("bm-*/bm-*.json.gz")))
    assert found, f"no bm-*/bm-*.json.gz below {real_results}"
    return found


@pytest.fixture(scope="session")
def unpack() -> Callable[[Path], bytes]:
    """A function that reads a packed file."""
    return lambda path: gzip.decompress(path.read_bytes())


@pytest.fixture(scope="session")
def make_file() -> MakeFile:
    """A function that makes a pyperf file of benchmarks with these values, each value a list for one run."""

    def make(benchmarks: dict[str, Sequence[float]], unit: str = "second", **metadata: Any) -> bytes:
        return json.dumps(
            {
                "version": "1.0",
                "metadata": metadata,
                "benchmarks": [
                    {"metadata": {"name": name, "unit": unit}, "runs": [{"values": list(values)}]}
                    for name, values in benchmarks.items()
                ],
            }
        ).encode()

    return make
