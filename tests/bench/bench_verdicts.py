"""How often comparisons raise a false alarm, and how often they find a change that is there.

Pairs of results are made of real ones (BENCHYARD_REAL_RESULTS): each benchmark gets as many processes as it had, drawn
with replacement from those of one result, so that both sides are of one interpreter; then what two runs differ by is
laid over them, and a known change over all benchmarks or over every tenth. Judged by, side by side on the same pairs:

- benchyard as it is on a host that was never calibrated, and on one with ten calibrations of the same noise;
- pyperf's test at 95 %, as `pyperf compare_to` and bench_runner make it for each benchmark;
- bench_runner's hierarchical test, the package's own code in an environment of its own, where it can be installed.

The change points of series are judged the same way: each benchmark of a result is a series of 60 runs of it, without
a change or with one after 30 runs. Of all series: how many false changes are found in 100 points, and how many series
have any. Of those with a change: of how many it is found within 4 points, and by the end, and of these, how many are
where it is, up to a point.

Of benchmarks: the part of those without a change that is called one, and of those with a change that is. Of pairs: how
many have more than 1 % false ones, and of how many the result as a whole is called faster or slower with 95 %.

The last line is a JSON object of these rates, by case and judge.
"""

import argparse
import gzip
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchyard.results.changepoints import find_changes
from benchyard.results.compare import compare
from benchyard.results.measured import measure
from benchyard.results.noise import Floor, noise_floors
from benchyard.results.reading import Samples, Suite, read_suite

#: The processes of each benchmark, a row each.
Run = dict[str, np.ndarray]

#: Standard deviations of the logarithm of one run: of a steady host, and of one such as the real results are of.
STEADY, USUAL = 0.0, 0.007

#: What all benchmarks of a run have in common, on the usual host.
COMMON = 0.002

CALIBRATIONS = 10

#: Points of a series, and after how many of them its level changes.
POINTS, BEFORE = 60, 30

#: The reliability from which on the whole is called faster or slower.
LEVEL = 0.95

JUDGES = ("benchyard", "benchyard, calibrated", "pyperf", "bench_runner")

# Reads pairs, writes the reliabilities; nothing of the package but its test is used.
PREDECESSOR = """
import json, sys
import numpy
from bench_runner import hpt
found = []
with numpy.load(sys.argv[1]) as pairs:
    names = sorted({name.rpartition("/")[0] for name in pairs.files})
    for name in names:
        base, head = pairs[name + "/base"], pairs[name + "/head"]
        one, other = ({str(n): row for n, row in enumerate(side)} for side in (base, head))
        found.append(float(hpt.hpt_basic(one, other, 0.1)[0]))
print(json.dumps(found))
"""


class Case(NamedTuple):
    """How the two sides differ: by `shift`, relative, in one of `every` benchmarks; `noise` is of each run.

    A side has so many `results`, of all or of so many `benchmarks`; there are so many `times` more pairs of it.
    """

    name: str
    noise: float
    shift: float = 0.0
    every: int = 1
    results: int = 1
    benchmarks: int | None = None
    times: int = 1


CASES = (
    Case("A/A, steady host", STEADY),
    Case("A/A, usual host", USUAL),
    Case("A/A, usual host, 5 benchmarks", USUAL, benchmarks=5, times=20),
    Case("A/A, usual host, 4 results", USUAL, results=4),
    Case("A/A, usual host, 16 results", USUAL, results=16),
    *(Case(f"{shift} % in all, steady host", STEADY, shift / 100) for shift in (1, 2, 5)),
    *(Case(f"{shift} % in all, usual host", USUAL, shift / 100) for shift in (1, 2, 5)),
    *(Case(f"{shift} % in a tenth, steady host", STEADY, shift / 100, 10) for shift in (1, 2, 5)),
    *(Case(f"{shift} % in a tenth, usual host", USUAL, shift / 100, 10) for shift in (1, 2, 5)),
)


SERIES_CASES = (
    Case("series, A/A, steady host", STEADY),
    Case("series, A/A, usual host", USUAL),
    *(Case(f"series, {shift} %, steady host", STEADY, shift / 100) for shift in (1, 2, 5)),
    *(Case(f"series, {shift} %, usual host", USUAL, shift / 100) for shift in (1, 2, 5)),
)


class SeriesRates(NamedTuple):
    """Parts of points, of series, and of known changes."""

    false_per_100: float
    series_with_false: float
    within_4: float | None
    found: float | None
    in_place: float | None


class Rates(NamedTuple):
    """Parts of benchmarks and of pairs; None where there is nothing of the kind."""

    false: float | None
    found: float | None
    pairs_over: float | None
    whole: float | None


def parts_of(suite: Suite) -> dict[str, np.ndarray]:
    """The processes of each benchmark, a row each, where all gave as many values and there are enough of them."""
    found = {}
    for name, samples in suite.benchmarks.items():
        if len(samples.processes) >= 5 and len(set(samples.processes)) == 1:
            found[name] = np.array(samples.values).reshape(len(samples.processes), -1)
    return found


def drawn(random: np.random.Generator, parts: Mapping[str, np.ndarray], noise: float) -> Run:
    """Another run of the same interpreter."""
    common = random.normal(0.0, COMMON) if noise else 0.0
    return {
        name: rows[random.integers(0, len(rows), len(rows))] * math.exp(common + random.normal(0.0, noise))
        for name, rows in parts.items()
    }


def as_suite(run: Mapping[str, np.ndarray]) -> Suite:
    """A run as a result."""
    samples = {
        name: Samples(tuple(rows.ravel().tolist()), "second", (rows.shape[1],) * len(rows))
        for name, rows in run.items()
    }
    return Suite({}, samples, ())


def floors(random: np.random.Generator, parts: Mapping[str, np.ndarray], noise: float) -> dict[str, Floor]:
    """The noise floors that calibrations of this host teach."""
    runs = [drawn(random, parts, noise) for _ in range(CALIBRATIONS)]
    return noise_floors([{name: float(rows.mean()) for name, rows in run.items()} for run in runs])


def pairs_of(
    random: np.random.Generator, suites: Sequence[Suite], case: Case, count: int
) -> Iterator[tuple[list[Run], list[Run], set[str], dict[str, Floor]]]:
    """The runs of base and head, the benchmarks that were changed, and the noise that calibrations would have told."""
    for number in range(count * case.times):
        parts = parts_of(suites[number % len(suites)])
        if case.benchmarks is not None:
            parts = {name: parts[name] for name in random.choice(sorted(parts), case.benchmarks, replace=False)}
        base, head = ([drawn(random, parts, case.noise) for _ in range(case.results)] for _ in range(2))
        changed = set(sorted(parts)[:: case.every]) if case.shift else set()
        for run in head:
            run.update({name: run[name] * (1.0 + case.shift) for name in changed})
        yield base, head, changed, floors(random, parts, case.noise)


def judged(
    random: np.random.Generator, suites: Sequence[Suite], case: Case, count: int, python: Path | None
) -> list[Rates]:
    """The rates of all judges for one case."""
    flags: dict[str, list[tuple[set[str], set[str], set[str]]]] = {judge: [] for judge in JUDGES[:3]}
    wholes: dict[str, list[bool]] = {judge: [] for judge in JUDGES}
    arrays: dict[str, np.ndarray] = {}
    for number, (base, head, changed, known) in enumerate(pairs_of(random, suites, case, count)):
        sides = [measure(*map(as_suite, runs)) for runs in (base, head)]
        plain, calibrated = compare(*sides), compare(*sides, noise=known)
        names = {change.name for change in plain.benchmarks}
        for judge, found in (("benchyard", plain), ("benchyard, calibrated", calibrated)):
            flags[judge].append(({change.name for change in found.benchmarks if change.is_believed}, changed, names))
            assert found.reliability is not None
            wholes[judge].append(max(found.reliability.faster, 1.0 - found.reliability.faster) >= LEVEL)
        flags["pyperf"].append(({change.name for change in plain.benchmarks if change.significant}, changed, names))
        first = base[0]
        order = [name for name in sorted(first) if first[name].size == first[next(iter(first))].size]
        # It takes no several results of one side: the first ones.
        arrays[f"{number:04}/base"] = np.array([first[name].ravel() for name in order])
        arrays[f"{number:04}/head"] = np.array([head[0][name].ravel() for name in order])
    if python is not None:
        wholes["bench_runner"] = [max(one, 1.0 - one) >= LEVEL for one in predecessor(python, arrays)]
    return [rates(flags.get(judge, flags["pyperf"]), wholes[judge]) for judge in JUDGES]


def rates(flags: Sequence[tuple[set[str], set[str], set[str]]], wholes: Sequence[bool]) -> Rates:
    """What part was called a change, of those that are none and of those that are."""
    same = sum(len(names - changed) for _, changed, names in flags)
    different = sum(len(changed) for _, changed, _ in flags)
    false = sum(len(said - changed) for said, changed, _ in flags)
    over = sum(len(said - changed) > 0.01 * len(names) for said, changed, names in flags)
    return Rates(
        false / same if same else None,
        sum(len(said & changed) for said, changed, _ in flags) / different if different else None,
        over / len(flags) if same else None,
        sum(wholes) / len(wholes) if wholes else None,
    )


def series_judged(random: np.random.Generator, suites: Sequence[Suite], case: Case) -> SeriesRates:
    """The rates of change points, over the benchmarks of these results."""
    number = false = with_false = soon = found = in_place = 0
    for suite in suites:
        parts = parts_of(suite)
        runs = [drawn(random, parts, case.noise) for _ in range(POINTS)]
        for name in parts:
            means = np.array([run[name].mean() for run in runs])
            means[BEFORE:] *= 1.0 + case.shift
            changes = find_changes(means.tolist())
            near = [c for c in changes if case.shift and c.step > 0.0 and abs(c.index - BEFORE) <= 4][:1]
            number += 1
            false += len(changes) - len(near)
            with_false += len(changes) > len(near)
            found += len(near)
            soon += sum(change.found < BEFORE + 4 for change in near)
            in_place += sum(abs(change.index - BEFORE) <= 1 for change in near)
    return SeriesRates(
        false / number / POINTS * 100.0,
        with_false / number,
        soon / number if case.shift else None,
        found / number if case.shift else None,
        in_place / found if found else None,
    )


def install_predecessor(folder: Path) -> Path | None:
    """The Python of an environment with bench_runner, None where it cannot be installed."""
    python = folder / "bin" / "python"
    uv = Path(sys.executable).parent / "uv"
    for argv in (
        [str(uv), "venv", "--quiet", "--python", sys.executable, str(folder)],
        [str(uv), "pip", "install", "--quiet", "--python", str(python), "bench-runner"],
        [str(python), "-c", "import bench_runner.hpt"],
    ):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=600)
        if done.returncode:
            print(f"without bench_runner: {(done.stderr.strip().splitlines() or ['it does not install'])[-1]}")
            return None
    return python


def predecessor(python: Path, arrays: Mapping[str, np.ndarray]) -> list[float]:
    """What bench_runner's test says of each pair."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pairs.npz")
        np.savez(path, allow_pickle=False, **arrays)
        argv = [str(python), "-c", PREDECESSOR, str(path)]
        return list(json.loads(subprocess.run(argv, capture_output=True, check=True, timeout=1800).stdout))


def real_suites(limit: int) -> list[Suite]:
    """Real results, evenly over their dates."""
    paths = sorted(Path(os.environ["BENCHYARD_REAL_RESULTS"]).glob("bm-*/bm-*.json.gz"))
    return [read_suite(gzip.decompress(path.read_bytes())) for path in paths[:: max(1, len(paths) // limit)][:limit]]


def percent(part: float | None) -> str:
    """A part of the whole, to be read in a table."""
    return "" if part is None else f"{part * 100:.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=20, help="pairs of each case")
    parser.add_argument("--seed", type=int, default=9)
    arguments = parser.parse_args()
    suites = real_suites(12)
    document: dict[str, dict[str, float | None]] = {}
    line = "{:32} {:22} {:>12} {:>12} {:>14} {:>14}"
    with tempfile.TemporaryDirectory() as folder:
        python = install_predecessor(Path(folder))
        print(line.format("case", "judge", "false alarms", "found", "pairs over 1 %", "whole, 95 %"))
        for case in CASES:
            random = np.random.default_rng(arguments.seed)
            for judge, found in zip(JUDGES, judged(random, suites, case, arguments.pairs, python), strict=True):
                print(line.format(case.name, judge, *map(percent, found)), flush=True)
                document[f"{case.name}: {judge}"] = found._asdict()
    line = "{:32} {:>16} {:>16} {:>12} {:>12} {:>14}"
    print(line.format("case", "false per 100", "series with any", "in 4 points", "found", "of it in place"))
    for case in SERIES_CASES:
        about = series_judged(np.random.default_rng(arguments.seed), suites[:6], case)
        print(line.format(case.name, f"{about.false_per_100:.3f}", *map(percent, about[1:])), flush=True)
        document[case.name] = about._asdict()
    print(json.dumps(document))


if __name__ == "__main__":
    main()
