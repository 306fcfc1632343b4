"""What the index keeps of a file's values: the numbers of Python's and pyperf's own functions, and all samples."""

import statistics
from collections.abc import Callable

import pyperf
import pytest

from benchyard.results.errors import ResultError
from benchyard.results.index import index_suite, pack_suite, unpack_suite
from benchyard.results.reading import Samples, Suite, read_suite


def test_reduced_as_pyperf_does(make_file: Callable[..., bytes]) -> None:
    """Mean, deviation, median and MAD of each benchmark are what pyperf says of the same file."""
    data = make_file({"nbody": [0.1, 0.12, 0.15, 0.11], "fft": [3.0]})
    rows = {row["benchmark"]: row for row in index_suite(read_suite(data))["measurements"]}
    for benchmark in pyperf.BenchmarkSuite.loads(data.decode()).get_benchmarks():
        row, values = rows.pop(benchmark.get_name()), benchmark.get_values()
        assert row["n"] == len(values)
        assert row["mean"] == pytest.approx(benchmark.mean(), rel=1e-14)
        assert row["median"] == pytest.approx(benchmark.median(), rel=1e-14)
        assert row["mad"] == pytest.approx(benchmark.median_abs_dev(), rel=1e-12)
        assert (row["minimum"], row["maximum"], row["unit"]) == (min(values), max(values), "second")
        deviation = statistics.stdev(values) if len(values) > 1 else None
        assert row["stdev"] == (deviation if deviation is None else pytest.approx(deviation, rel=1e-12))
    assert not rows


def test_packed_samples_come_back() -> None:
    """All of a suite is packed: values bit by bit, processes, tags, memory, and what the file says of itself."""
    samples = Samples((0.1, 5e-324, 1.7976931348623157e308), "byte", (2, 1), "1.2", ("math",), 1024.0)
    suite = Suite({"hostname": "quiet-1", "cpu_count": 8, "loads": [0.5, None]}, {"nbody": samples}, ("idle",))
    assert unpack_suite(pack_suite(suite)) == suite


@pytest.mark.parametrize("damaged", [b"", b"not packed", pack_suite(Suite({}, {}, ()))[:-5]])
def test_damaged_samples_are_told(damaged: bytes) -> None:
    """Bytes that are not packed samples are an error in one line, which names the way out."""
    with pytest.raises(ResultError, match=r"damaged; they can be made again from its file"):
        unpack_suite(damaged)
