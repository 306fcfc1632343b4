"""Which benchmarks are said to differ: on values that are made up to differ or not, and on real ones."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchyard.results.compare import compare
from benchyard.results.measured import Measured, MeasuredSuite, measure
from benchyard.results.noise import Floor
from benchyard.results.reading import Samples, Suite, read_suite
from benchyard.results.verdicts import (
    LEAST_ASSUMED,
    MOST_ASSUMED,
    Noise,
    assumed_noise,
    benjamini_hochberg,
    judge,
    learned_noise,
    moderated,
)

QUIET = Noise(0.0, math.inf)
WELL_KNOWN = Floor(0.01, 1000, 1.0)
Random = np.random.Generator


def suite(benchmarks: dict[str, list[list[float]]]) -> Suite:
    """A result of these values by process."""
    samples = {
        name: Samples(tuple(v for p in processes for v in p), "second", tuple(map(len, processes)))
        for name, processes in benchmarks.items()
    }
    return Suite({}, samples, ())


def made(random: Random, *, shift: float = 0.0, n: int = 80, noise: float = 0.0, between: float = 0.01) -> Suite:
    """A result of `n` benchmarks: 20 processes of 3 values, alike within a process, all `shift` slower than 1 s."""
    found = {}
    for number in range(n):
        center = math.exp(shift + random.normal(0.0, noise / math.sqrt(2.0)))
        processes = center * np.exp(random.normal(0.0, between, (20, 1)) + random.normal(0.0, 0.001, (20, 3)))
        found[f"b{number:02}"] = processes.tolist()
    return suite(found)


def pairs_of(base: Suite, head: Suite) -> dict[str, tuple[Measured, Measured]]:
    """The benchmarks of both."""
    one, other = measure(base), measure(head)
    return {name: (one.benchmarks[name], other.benchmarks[name]) for name in one.benchmarks}


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60))
def test_correction_is_scipys(p_values: list[float]) -> None:
    """The adjusted values are those of `scipy.stats.false_discovery_control`."""
    expected = stats.false_discovery_control(p_values, method="bh")
    assert benjamini_hochberg(np.array(p_values)) == pytest.approx(expected)


def test_correction_of_the_paper() -> None:
    """Of the 15 p-values in Benjamini and Hochberg's example (1995, section 3.2) four are significant at 5 %."""
    values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719]
    values += [0.6528, 0.7590, 1.0000]
    assert list(benjamini_hochberg(np.array(values)) <= 0.05) == [True] * 4 + [False] * 11


def test_one_benchmark_is_welchs_test() -> None:
    """Of a single benchmark whose host has no noise, p and interval are those of Welch's test of the means of
    processes, but for the logarithm, which is a straight line so near to 1.
    """
    random = np.random.default_rng(1)
    base, head = made(random, n=1), made(random, n=1, shift=0.004, between=0.005)
    found = judge(pairs_of(base, head), {"b00": QUIET})["b00"]
    means = [np.array(s.benchmarks["b00"].values).reshape(20, 3).mean(axis=1) for s in (base, head)]
    expected = stats.ttest_ind(*means, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue, rel=0.05)
    interval = expected.confidence_interval(0.95)
    assert found.low == pytest.approx(1.0 + interval.low, abs=1e-4)
    assert found.high == pytest.approx(1.0 + interval.high, abs=1e-4)


def test_one_interpreter_twice_is_told_to_differ_in_one_of_a_hundred() -> None:
    """Two results of the same: hardly ever is even one of the benchmarks called different. pyperf, which takes the
    values of a process for independent, calls every fifth significant.
    """
    random = np.random.default_rng(2)
    flagged, significant, told = 0, 0, 0
    for _ in range(100):
        found = compare(made(random), made(random))
        flagged += sum(change.is_believed for change in found.benchmarks)
        told += any(change.is_believed for change in found.benchmarks)
        significant += sum(change.significant for change in found.benchmarks)
    assert flagged <= 0.001 * 8000 and told <= 4
    assert significant > 0.15 * 8000


@pytest.mark.parametrize("noise", [0.005, 0.01, 0.018])
def test_noise_between_runs_is_seen_in_their_scatter(noise: float) -> None:
    """Where the host was never calibrated, what two runs differ by is told from all benchmarks together."""
    random = np.random.default_rng(4)
    told, found = 0, []
    for _ in range(60):
        base, head = made(random, noise=noise, between=0.003), made(random, noise=noise, between=0.003)
        comparison = compare(base, head)
        told += any(change.is_believed for change in comparison.benchmarks)
        found.append(assumed_noise(list(pairs_of(base, head).values())).deviation)
        assert comparison.assumed_noise == pytest.approx(math.expm1(1.96 * found[-1]), rel=1e-3)
    assert told <= 3
    assert float(np.median(found)) == pytest.approx(noise, rel=0.15)
    assert LEAST_ASSUMED <= min(found) <= max(found) <= MOST_ASSUMED


@pytest.mark.parametrize("noise", [0.005, 0.018])
@pytest.mark.parametrize("n", [1, 5, 9])
def test_few_benchmarks_of_one_interpreter(n: int, noise: float) -> None:
    """Of so few no scatter can be told: the host is taken for a bad one, and hardly one of them is called different."""
    random = np.random.default_rng(21)
    pairs = 1000 // n
    told = 0
    for _ in range(pairs):
        found = compare(*(made(random, n=n, noise=noise, between=0.003) for _ in range(2)))
        told += any(change.is_believed for change in found.benchmarks)
    assert told <= 0.02 * pairs


def test_few_benchmarks_on_a_host_that_others_were_calibrated_on() -> None:
    """A benchmark without a floor is taken to be as noisy as is usual there, and that is told."""
    random = np.random.default_rng(22)
    known = {f"b{number:02}": Floor(0.004, 40, 1.0) for number in range(20)}
    found = compare(*(made(random, n=21, between=0.0005) for _ in range(2)), noise=known)
    assert found.benchmarks[-1].noise is None
    assert found.assumed_noise == pytest.approx(0.004, rel=0.1)


@pytest.mark.parametrize("results", [2, 8, 16])
def test_pooled_results_of_one_interpreter(results: int) -> None:
    """What their means scatter by is told for a single run, and counts for as many as there are, once."""
    random = np.random.default_rng(23)
    flagged, assumed = 0, []
    for _ in range(12):
        sides = [measure(*(made(random, n=40, noise=0.012) for _ in range(results))) for _ in range(2)]
        found = compare(*sides)
        flagged += sum(change.is_believed for change in found.benchmarks)
        assumed.append(found.assumed_noise or 0.0)
    assert flagged <= 0.01 * 12 * 40
    assert float(np.median(assumed)) == pytest.approx(math.expm1(1.96 * 0.012), rel=0.25)


def test_benchmark_that_few_of_the_results_have() -> None:
    """It is tested with the noise of as many results as have it, not of all that are pooled."""
    known = {"b00": WELL_KNOWN, "x": WELL_KNOWN}
    one, slower = ({"x": [[value * more] for value in (1.0, 1.0005, 0.9995)]} for more in (1.0, 1.02))
    many = [{"b00": [[1.0], [1.0005], [0.9995]]}] * 15
    pooled = [measure(suite({**many[0], **side}), *map(suite, many)) for side in (one, slower)]
    (alone,) = compare(suite(one), suite(slower), noise=known).benchmarks
    of_many = compare(*pooled, noise=known).benchmarks[1]
    assert (of_many.name, of_many.verdict) == ("x", alone.verdict)
    assert of_many.p == pytest.approx(min(1.0, 2.0 * (alone.p or 0.0)), rel=0.1)


@pytest.mark.parametrize("several", [2, 3, 5])
def test_single_value_has_no_spread_of_its_own(several: int) -> None:
    """Against several it is tested as one more of them: told to differ as often as Student's test has it."""
    random = np.random.default_rng(24)
    told = 0
    for _ in range(2000):
        one = suite({"a": [[math.exp(random.normal(0.0, 0.01))]]})
        many = suite({"a": [[math.exp(value)] for value in random.normal(0.0, 0.01, several)]})
        told += judge(pairs_of(one, many), {"a": QUIET})["a"].differs
    assert told <= 0.017 * 2000


def test_what_is_believed_is_not_within_the_noise() -> None:
    """A floor of few runs says more than it knows: what is tested with what is usual is told as it was tested."""
    random = np.random.default_rng(25)
    known = {f"b{number:02}": Floor(0.02, 5, 1.0) for number in range(20)}
    for shift in (0.005, 0.019, 0.04):
        found = compare(*(made(random, n=20, shift=at, between=0.001) for at in (0.0, shift)), noise=known)
        for change in found.benchmarks:
            assert not (change.is_believed and change.within_noise)
        assert found.reliability is not None
        assert (found.counts.worse > 10) <= (found.reliability.faster < 0.05)


def test_interpreters_that_differ_much_are_no_noise() -> None:
    """Two interpreters of which each benchmark differs by tens of percent are told apart nevertheless."""
    random = np.random.default_rng(6)
    base = made(random)
    head = made(random, shift=-0.3, noise=0.2)
    assert sum(change.verdict == "better" for change in compare(base, head).benchmarks) > 60


def test_a_shift_is_found() -> None:
    """Of 80 benchmarks four are 5 % slower: they are found, and no others, on a host whose noise is known."""
    random = np.random.default_rng(8)
    found = others = 0
    known = {f"b{number:02}": Floor(0.01, 20, 1.0) for number in range(80)}
    for _ in range(20):
        base, head = made(random, noise=0.003), made(random, noise=0.003)
        samples = dict(head.benchmarks)
        for name in ("b03", "b14", "b15", "b65"):
            samples[name] = Samples(tuple(v * 1.05 for v in samples[name].values), "second", samples[name].processes)
        for change in compare(base, Suite({}, samples, ()), noise=known).benchmarks:
            if change.name in ("b03", "b14", "b15", "b65"):
                found += change.verdict == "worse"
            else:
                others += change.is_believed
    assert found >= 76 and others <= 3


def test_a_noise_floor_is_what_it_was_made_of() -> None:
    """The spread that a floor stands for is got back, with the degrees of freedom of its runs; so few runs make tails
    long.
    """
    assert learned_noise(None) is None
    many, few = learned_noise(Floor(0.02, 31, 1.0)), learned_noise(Floor(0.02, 5, 1.0))
    assert many is not None and few is not None
    assert (many.degrees, few.degrees) == (18, 2)
    assert many.deviation == pytest.approx(math.log1p(0.02) / stats.t.ppf(0.975, 18), rel=1e-6)
    assert few.deviation == pytest.approx(math.log1p(0.02) / stats.t.ppf(0.975, 2), rel=1e-6)
    assert many.limit == pytest.approx(math.log1p(0.02)) == few.limit


def test_few_calibrations_are_helped_by_other_benchmarks() -> None:
    """A noise of few runs is drawn to what is usual on the host, upwards only, and counts as better known for it; few
    benchmarks stay what they are.
    """
    noises = {f"b{number}": Noise(0.01, 5) for number in range(12)}
    noises |= {"noisy": Noise(0.1, 5, 0.2), "quiet": Noise(0.001, 5)}
    found = moderated(noises)
    assert found["b0"].deviation == pytest.approx(0.01) and found["b0"].degrees == 15
    assert found["noisy"] == Noise(0.1, 15, 0.2)
    assert found["quiet"].deviation == pytest.approx(math.sqrt((10 * 1e-4 + 5 * 1e-6) / 15))
    assert moderated({"quiet": noises["quiet"]}) == {"quiet": noises["quiet"]}


def test_values_that_say_nothing() -> None:
    """One value against one is not judged; against several it is taken to vary as they do."""
    one, many = suite({"a": [[1.0]]}), suite({"a": [[1.1], [1.101], [1.099], [1.1], [1.1005]]})
    (change,) = compare(one, one).benchmarks
    assert (change.verdict, change.p, change.low, change.high) == ("unknown", None, None, None)
    (change,) = compare(one, many, noise={"a": WELL_KNOWN}).benchmarks
    assert change.verdict == "worse" and change.low is not None and change.low < change.ratio < (change.high or 0.0)


def test_values_that_do_not_vary() -> None:
    """Without any spread and noise, the same is the same, and a difference is one."""
    steady = {"a": [[1.0], [1.0], [1.0]]}
    same, other = suite(steady), suite({"a": [[1.5], [1.5], [1.5]]})
    (found,) = judge(pairs_of(same, same), {"a": QUIET}).values()
    assert (found.differs, found.p) == (False, 1.0)
    (found,) = judge(pairs_of(same, other), {"a": QUIET}).values()
    assert (found.differs, found.p) == (True, 0.0)


def test_what_was_changed_is_not_pooled() -> None:
    """Values in another unit, or of another version of a benchmark, are left out; one not told is any."""
    old, new = Samples((1.0, 1.0), "second", version="1"), Samples((4.0,), "second", version="2")
    size, untold = Samples((8.0,), "byte", version="1"), Samples((1.0,), "second")
    table = [((old, size, new, untold), (3, "1")), ((untold, size, new, old), (2, "2")), ((new, old), (1, "2"))]
    for results, expected in table:
        found = measure(*(Suite({}, {"a": samples}, ()) for samples in results)).benchmarks["a"]
        assert (found.summary.n, found.version) == expected


def test_several_runs_of_an_interpreter_pool() -> None:
    """The mean is that of all values; what the runs differ by is no spread within them, and the more there are, the
    smaller a difference can be told.
    """
    one, other = suite({"a": [[1.0], [1.02], [0.98]], "b": [[1.0], [1.0]]}), suite({"a": [[2.0], [2.04], [1.96]]})
    pooled = measure(one, other)
    assert pooled.results == 2
    found = pooled.benchmarks["a"]
    assert found.summary.mean == pytest.approx(1.5)
    assert found.variance[0] == pytest.approx((2 * 0.02**2 + 2 * 0.04**2) / 4 / 1.5**2)
    assert (found.summary.n, found.variance[1]) == (6, 4)
    assert pooled.benchmarks["b"].summary.n == 2
    random = np.random.default_rng(9)

    def width(number: int) -> float:
        sides: list[MeasuredSuite] = []
        for _ in range(2):
            sides.append(measure(*(made(random, n=1, noise=0.005) for _ in range(number))))
        (change,) = compare(*sides, noise={"b00": WELL_KNOWN}).benchmarks
        assert change.low is not None and change.high is not None
        return change.high / change.low - 1.0

    assert width(8) < 0.6 * width(1)


def test_real_processes_and_memory(real_files: tuple[Path, ...], unpack: Callable[[Path], bytes]) -> None:
    """Processes, tags and memory of real files are known."""
    tags: set[str] = set()
    for path in real_files:
        found = read_suite(unpack(path))
        for samples in found.benchmarks.values():
            assert sum(samples.processes) == len(samples.values)
            assert samples.memory is not None and 1e6 < samples.memory < 1e11
            tags.update(samples.tags)
    assert {"apps", "asyncio", "serialize"} <= tags


def test_real_results_with_themselves(real_files: tuple[Path, ...], unpack: Callable[[Path], bytes]) -> None:
    """The processes of a real result in two halves differ in nothing that is believed."""
    found = read_suite(unpack(real_files[3]))
    halves = []
    for half in (0, 1):
        samples = {}
        for name, whole in found.benchmarks.items():
            ends = np.cumsum(whole.processes)
            parts = [whole.values[end - size : end] for end, size in zip(ends, whole.processes, strict=True)][half::2]
            samples[name] = Samples(tuple(v for part in parts for v in part), whole.unit, tuple(map(len, parts)))
        halves.append(Suite({}, samples, ()))
    comparison = compare(*halves)
    assert comparison.counts.same == len(found.benchmarks) and comparison.counts.better == 0
    assert comparison.reliability is not None and 0.05 < comparison.reliability.faster < 0.95
