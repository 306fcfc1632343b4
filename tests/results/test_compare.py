"""Comparing results, held against pyperf on real ones."""

import itertools
import json
import math
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyperf
import pytest
from pyperf._compare import is_significant_benchs

from benchyard.results.compare import Comparison, compare
from benchyard.results.noise import Floor
from benchyard.results.reading import read_suite
from benchyard.results.text import comparison_text
from benchyard.results.units import format_change, format_mean

MakeFile = Callable[..., bytes]

# Of `pyperf compare_to -v`: title, rule, values, perhaps an error, verdict.
_BLOCK = re.compile(
    r"^(?P<name>\S+)\n=+\n\n"
    r"Mean \+- std dev: \[\S+\] (?P<base>.*?) -> \[\S+\] (?P<head>.*?): (?P<change>.*)\n"
    r"(?P<error>ERROR when testing.*\n)?"
    r"(?P<verdict>Significant|Not significant!)",
    re.MULTILINE,
)


def test_ratio_and_words(make_file: MakeFile) -> None:
    """Base over head: half the time is a ratio of 2 and "2.00x faster"."""
    base = read_suite(make_file({"a": [2.0, 2.1, 1.9], "b": [1.0, 1.1, 0.9], "c": [1.0, 2.0, 3.0]}))
    head = read_suite(make_file({"a": [1.0, 1.05, 0.95], "b": [4.0, 4.4, 3.6], "c": [1.0, 2.0, 3.1]}))
    comparison = compare(base, head)
    assert [(change.name, change.change, change.significant) for change in comparison.benchmarks] == [
        ("a", "2.00x faster", True),
        ("b", "4.00x slower", True),
        ("c", "not significant", False),
    ]
    first = comparison.benchmarks[0]
    assert first.ratio == pytest.approx(2.0)
    assert first.base.mean == pytest.approx(2.0)
    assert (first.base.n, first.base.unit) == (3, "second")
    assert first.base.stdev == pytest.approx(0.1)
    overall = comparison.geometric_mean
    assert overall is not None
    assert overall.ratio == pytest.approx((2.0 * 0.25 * (6.0 / 6.1)) ** (1 / 3))
    assert (overall.change, overall.n, overall.of) == ("1.27x slower", 3, 3)


def test_different_benchmarks(make_file: MakeFile) -> None:
    """Names of one side only are listed, and counted in the "of" of the geometric mean."""
    base = read_suite(make_file({"a": [1.0, 1.1], "gone": [1.0], "also_gone": [1.0]}))
    head = read_suite(make_file({"a": [1.0, 1.1], "fresh": [1.0]}))
    comparison = compare(base, head)
    assert (comparison.missing, comparison.new) == (("also_gone", "gone"), ("fresh",))
    assert comparison.geometric_mean is not None
    assert (comparison.geometric_mean.n, comparison.geometric_mean.of) == (1, 4)
    assert comparison.geometric_mean.change == "no change"


def test_nothing_in_common(make_file: MakeFile) -> None:
    """Results without a common benchmark compare to nothing, without an error."""
    comparison = compare(read_suite(make_file({"a": [1.0]})), read_suite(make_file({"b": [1.0]})))
    assert comparison == Comparison((), ("a",), ("b",), (), None)


def test_different_units(make_file: MakeFile) -> None:
    """Seconds are not compared with bytes."""
    comparison = compare(read_suite(make_file({"a": [1.0]})), read_suite(make_file({"a": [1.0]}, unit="byte")))
    assert comparison == Comparison((), (), (), ("a",), None)


def test_extreme_values(make_file: MakeFile) -> None:
    """The smallest values that are taken over the largest are still numbers, with all that is told of them."""
    tiny, huge = read_suite(make_file({"a": [2e-100, 3e-100]})), read_suite(make_file({"a": [8e99, 9e99]}))
    for base, head in ((tiny, huge), (huge, tiny), (tiny, tiny)):
        (change,) = compare(base, head).benchmarks
        assert math.isfinite(change.ratio)
        json.loads(msgspec.json.encode(change))


def test_comparison_is_json(make_file: MakeFile) -> None:
    """A comparison becomes JSON as it is; a single value has no deviation."""
    suite = read_suite(make_file({"a": [1.0]}))
    data = json.loads(msgspec.json.encode(compare(suite, suite)))
    assert data["benchmarks"][0]["base"] == {"mean": 1.0, "stdev": None, "n": 1, "unit": "second"}


@pytest.mark.parametrize(("base", "head"), [(0, 1), (0, 2), (3, 4), (11, 12), (16, 17), (21, 22), (9, 14)])
def test_agrees_with_pyperf(
    base: int, head: int, real_files: tuple[Path, ...], unpack: Callable[[Path], bytes], tmp_path: Path
) -> None:
    """On real results, every value, every verdict and the geometric mean are those of `pyperf compare_to`."""
    suites = []
    for name, index in (("base.json", base), ("head.json", head)):
        data = unpack(real_files[index])
        (tmp_path / name).write_bytes(data)
        suites.append(read_suite(data))
    comparison = compare(*suites)
    said = subprocess.run(
        [sys.executable, "-m", "pyperf", "compare_to", "-v", "base.json", "head.json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=tmp_path,
    ).stdout.partition("All benchmarks:")[2]

    blocks = {block["name"]: block for block in _BLOCK.finditer(said)}
    assert {change.name for change in comparison.benchmarks} == set(blocks)
    for change in comparison.benchmarks:
        block = blocks[change.name]
        assert format_mean(change.base.mean, change.base.stdev) == block["base"], change.name
        assert format_mean(change.head.mean, change.head.stdev) == block["head"], change.name
        assert format_change(change.ratio) == block["change"], change.name
        if block["error"] is None:
            assert change.significant == (block["verdict"] == "Significant"), change.name
        else:
            assert change.base.n != change.head.n, change.name
    overall = comparison.geometric_mean
    assert overall is not None
    assert f"Geometric mean: {overall.change}\n" in said
    assert overall.n == len(blocks)


def test_verdicts_of_all_real_files(real_files: tuple[Path, ...], unpack: Callable[[Path], bytes]) -> None:
    """Between any two neighbours, verdict and geometric mean are pyperf's wherever pyperf can judge."""
    judged = 0
    for base, head in itertools.pairwise(unpack(path) for path in real_files):
        comparison = compare(read_suite(base), read_suite(head))
        old, new = (pyperf.BenchmarkSuite.loads(data.decode()) for data in (base, head))
        for change in comparison.benchmarks:
            pair = old.get_benchmark(change.name), new.get_benchmark(change.name)
            significant, score = is_significant_benchs(*pair)
            if score is not None:
                assert change.significant == significant, change.name
                judged += 1
        ratios = [
            old.get_benchmark(item.name).mean() / new.get_benchmark(item.name).mean() for item in comparison.benchmarks
        ]
        assert comparison.geometric_mean is not None
        assert comparison.geometric_mean.ratio == pytest.approx(statistics.geometric_mean(ratios), rel=1e-12)
    assert judged > 100 * (len(real_files) - 1)


def test_noise_is_beside_the_change(make_file: MakeFile) -> None:
    """What lies within the noise of the host is said to, and pyperf's own numbers stay what they are; where nothing is
    known, and one benchmark cannot tell, the host is taken for a bad one.
    """
    base = read_suite(make_file({"a": [1.0, 1.001, 0.999], "b": [1.0, 1.001, 0.999], "c": [1.0, 1.001, 0.999]}))
    head = read_suite(make_file({"a": [1.02, 1.021, 1.019], "b": [1.05, 1.051, 1.049], "c": [1.05, 1.051, 1.049]}))
    plain = compare(base, head)
    found = compare(
        base, head, noise={"a": Floor(0.03, 1000, 1.0), "b": Floor(0.03, 1000, 1.0), "d": Floor(0.5, 1000, 1.0)}
    )
    assert [(row.noise, row.within_noise, row.significant) for row in found.benchmarks] == [
        (0.03, True, True),
        (0.03, False, True),
        (None, False, True),
    ]
    assert [row.change for row in found.benchmarks] == [row.change for row in plain.benchmarks]
    assert found.geometric_mean == plain.geometric_mean
    text = comparison_text(found, base="job 1", head="job 2")
    assert [line.rpartition("  ")[2] for line in text.splitlines()[1:4]] == [
        "within noise (3.0 %)",
        "1.05x slower",
        "1.05x slower, may be noise",
    ]


def test_noise_of_times_is_not_that_of_memory(make_file: MakeFile) -> None:
    """How far times differ on a host says nothing of peaks of memory."""
    base = read_suite(make_file({"a": [1000, 1001, 1002]}, unit="byte"))
    head = read_suite(make_file({"a": [1020, 1021, 1022]}, unit="byte"))
    (row,) = compare(base, head, noise={"a": Floor(0.5, 1000, 1.0)}).benchmarks
    assert (row.noise, row.within_noise, row.significant) == (None, False, True)
