"""Reading result files, good and bad."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyperf
import pytest

from benchyard.results.errors import ResultError
from benchyard.results.reading import read_suite

MakeFile = Callable[..., bytes]


def _file(*runs: Any, version: Any = "1.0", name: Any = "nbody") -> bytes:
    benchmark = {"metadata": {"name": name}, "runs": list(runs)}
    return json.dumps({"version": version, "benchmarks": [benchmark]}).encode()


def test_values_are_read(make_file: MakeFile) -> None:
    """A file gives its metadata and each benchmark's values and unit."""
    suite = read_suite(make_file({"a": [1.0, 2], "b": [3.0]}, unit="byte", commit_id="1234567"))
    assert suite.metadata == {"commit_id": "1234567"}
    assert {name: samples.values for name, samples in suite.benchmarks.items()} == {
        "a": (1.0, 2.0),
        "b": (3.0,),
    }
    assert suite.benchmarks["a"].unit == "byte"
    assert suite.valueless == ()


def test_file_written_by_pyperf() -> None:
    """What pyperf itself writes is read, with values of all runs and no warmups."""
    metadata = {"name": "nbody", "loops": 2}
    runs = [
        pyperf.Run([], warmups=[(1, 0.5)], metadata=metadata, collect_metadata=False),
        pyperf.Run([1.0, 2.0], warmups=[(2, 9.0)], metadata=metadata, collect_metadata=False),
        pyperf.Run([3.0], metadata=metadata, collect_metadata=False),
    ]
    suite = pyperf.BenchmarkSuite([pyperf.Benchmark(runs)])
    samples = read_suite(json.dumps(suite._as_json()).encode()).benchmarks["nbody"]
    assert samples.values == (1.0, 2.0, 3.0)
    assert samples.unit == "second"


def test_real_files(real_files: tuple[Path, ...], unpack: Callable[[Path], bytes]) -> None:
    """Each real file gives the names and values that pyperf reads in it."""
    for path in real_files[::6]:
        data = unpack(path)
        expected = {bench.get_name(): bench.get_values() for bench in pyperf.BenchmarkSuite.loads(data.decode())}
        suite = read_suite(data)
        assert {name: samples.values for name, samples in suite.benchmarks.items()} == expected
        assert suite.metadata["commit_fork"] == "python"


def test_names_of_the_older_lab(real_results: Path, unpack: Callable[[Path], bytes]) -> None:
    """Files that older versions of pyperf wrote are read as well."""
    found = sorted((real_results / "portal").glob("*.json.gz"))
    assert [len(read_suite(unpack(path)).benchmarks) for path in found] == [61, 59, 3, 57]


def test_calibrated_only() -> None:
    """A benchmark without a value is named and not compared; a file of nothing else is refused."""
    benchmarks = [
        {"metadata": {"name": "a"}, "runs": [{"warmups": [[1, 0.5]]}]},
        {"metadata": {"name": "b"}, "runs": [{"values": [0.5]}]},
    ]
    suite = read_suite(json.dumps({"version": "1.0", "benchmarks": benchmarks}).encode())
    assert (list(suite.benchmarks), suite.valueless) == (["b"], ("a",))
    with pytest.raises(ResultError, match="has no values"):
        read_suite(json.dumps({"version": "1.0", "benchmarks": benchmarks[:1]}).encode())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "^the result file is empty$"),
        (b" \n", "^the result file is empty$"),
        (b"\x1f\x8b\x08\x00", "compressed by gzip: give it unpacked"),
        (b"Traceback (most recent call last):", "is not JSON"),
        (b"\xff\xfe{}", "is not JSON"),
        (b"[" * 100_000, "is not pyperf's: Expected `object`, got `array`"),
        (b'{"version": "1.0", "benchmarks": [], "metadata": ' + b"[" * 100_000, "is not"),
        (b'"text"', "is not pyperf's: Expected `object`, got `str`"),
        (b"{}", "is not pyperf's: Object missing required field `version`"),
        (b'{"version": "1.0", "benchmarks": []}', "has no benchmarks"),
        (b'{"version": "1.0", "benchmarks": {}}', r"got `object` - at `\$.benchmarks`"),
        (
            _file({"values": [1.0]}, version="9.9"),
            "pyperf does not take the result file: file format version '9.9'",
        ),
        (_file(), "pyperf does not take the result file: runs must be a non-empty sequence"),
        (_file({"values": [1.0, float("nan")]}), "is not JSON"),
        (_file({"values": [float("inf")]}), "is not JSON"),
        (_file({"values": [1.0], "metadata": {"load": float("nan")}}), "is not JSON"),
        (_file({"values": [1.0]}).replace(b"1.0]", b"1e999]"), "Number out of range"),
        (
            _file({"values": ["1.0"]}),
            r"Expected `float`, got `str` - at `\$.benchmarks\[0\].runs\[0\].values\[0\]`",
        ),
        (_file({"values": [True]}), "Expected `float`, got `bool`"),
        (_file({"values": [None]}), "Expected `float`, got `null`"),
        (_file({"values": [-1.0]}), "values must be a sequence of number > 0.0"),
        (_file({"values": [0.0]}), "values must be a sequence of number > 0.0"),
        (_file({"values": [1.0], "metadata": [1]}), "not pyperf's: Expected `object | null`, got `array`"),
        (_file({"values": [1.0], "warmups": [1]}), "pyperf does not take the result file"),
        (_file({"values": [1.0]}, name=7), "a benchmark without a proper name: 7$"),
        (_file({"values": [1.0]}, name="a\x1b[2J"), "without a proper name"),
        (_file({"values": [1.0]}, name="a\nb"), "newline characters are not allowed"),
        (_file({"values": [1.0]}, name=""), "name"),
        (
            b'{"version": "1.0", "benchmarks": [{"runs": [{"values": [1.0]}]}]}',
            "A benchmark must have a name",
        ),
    ],
)
def test_bad_files(data: bytes, message: str) -> None:
    """What is not a sound result file is refused in one line that says why."""
    with pytest.raises(ResultError, match=message) as caught:
        read_suite(data)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_truncated(make_file: MakeFile) -> None:
    """A file cut anywhere is refused."""
    data = make_file({"a": [1.0, 2.0], "b": [3.0]})
    for length in range(len(data)):
        with pytest.raises(ResultError):
            read_suite(data[:length])


def test_duplicate_names(make_file: MakeFile) -> None:
    """Two benchmarks of one name are refused: which is meant cannot be told."""
    data = make_file({"a": [1.0], "b": [2.0]}).replace(b'"name": "b"', b'"name": "a"')
    with pytest.raises(ResultError, match="already a benchmark called 'a'"):
        read_suite(data)
