"""Reading without pyperf: nothing is taken that pyperf refuses, and what is taken is read as pyperf reads it."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyperf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchyard.results.errors import ResultError
from benchyard.results.index import pack_suite
from benchyard.results.quick import read_quickly
from benchyard.results.reading import Suite, _read_by_pyperf, read_suite

#: What real files say, in little: a benchmark of two processes, calibrated, and one that says more of itself.
FILE: dict[str, Any] = {
    "version": "1.0",
    "metadata": {"hostname": "quiet-1", "cpu_count": 8, "unit": "second", "aslr": "Full randomization"},
    "benchmarks": [
        {
            "metadata": {"name": "nbody", "loops": 4, "tags": ["math"], "mem_max_rss": 5000},
            "runs": [
                {"warmups": [[1, 0.5], [4, 0.4]], "metadata": {"calibrate_loops": 4, "date": "2026-05-07 10:00:00"}},
                {"values": [0.25, 0.26], "warmups": [[4, 0.3]], "metadata": {"duration": 2.5, "mem_max_rss": 6000}},
                {"values": [0.27], "metadata": {"date": "2026-05-07 10:00:02", "load_avg_1min": 0.5}},
            ],
        },
        {"metadata": {"name": "memory", "unit": "byte", "version": "2"}, "runs": [{"values": [4096, 8192]}]},
    ],
}

Place = tuple[str | int, ...]


def _places(value: Any, at: Place = ()) -> list[Place]:
    """The places of all values in a document."""
    found = [at] if at else []
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += _places(inner, (*at, key))
    return found


PLACES = _places(FILE)

#: Every name that pyperf or we know a rule for, and some that neither does.
NAMES = st.sampled_from(
    [
        *("name", "unit", "loops", "inner_loops", "calibrate_loops", "recalibrate_warmups", "mem_max_rss", "date"),
        *("command_max_rss", "boot_time", "duration", "uptime", "load_avg_1min", "tags", "hostname", "platform"),
        *("cpu_model_name", "runnable_threads", "cpu_freq", "cpu_affinity", "python_version", "aslr", "new", ""),
        *("values", "warmups", "samples", "metadata", "common_metadata", "runs", "version"),
    ]
)
WORDS = st.sampled_from(
    ["", " ", "\n", "a\nb", "a\rb", " x ", "\u00a0", "second", "byte", "ns", "1.0", "nbody", "all", "\ud800"]
)
NUMBERS = st.sampled_from([0, 1, -1, 7, -0.0, 0.5, 5e-324, 1e99, 1e100, 1e308, 10**30, float("inf"), float("nan")])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.integers() | st.floats() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=5,
)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Files of a few changes to what is right: something else in a place, something gone, something more."""
    document = copy.deepcopy(FILE)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(PLACES))
        try:
            holder: Any = document
            for key in way:
                holder = holder[key]
            change = draw(st.sampled_from(["put", "remove", "add", "repeat"]))
            if change == "put":
                holder[last] = draw(VALUES)
            elif change == "remove":
                del holder[last]
            elif change == "add" and isinstance(holder, dict):
                holder[draw(NAMES)] = draw(VALUES)
            elif change == "repeat" and isinstance(holder, list):
                holder.append(copy.deepcopy(holder[int(last)]))
        except (LookupError, TypeError):
            continue  # an earlier change has taken the place away
    return json.dumps(document, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


def _same_as_pyperf(data: bytes, suite: Suite) -> None:
    """Hold that pyperf reads the same in the same bytes; it raises for what it refuses."""
    loaded = pyperf.BenchmarkSuite.loads(data.decode()).get_benchmarks()
    found = {bench.get_name(): (bench.get_values(), bench.get_unit()) for bench in loaded if bench.get_values()}
    assert {name: (samples.values, samples.unit) for name, samples in suite.benchmarks.items()} == found
    assert suite.valueless == tuple(bench.get_name() for bench in loaded if not bench.get_values())


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_mutations_against_pyperf(data: bytes) -> None:
    """Whatever is changed in a file: it is refused in one line, or pyperf takes it, too, and reads the same."""
    try:
        suite = read_suite(data)
    except ResultError as exc:
        assert "\n" not in str(exc)
        return
    _same_as_pyperf(data, suite)
    pack_suite(suite)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_of_real_files(real_file: bytes, data: st.DataObject) -> None:
    """A few bytes of a real file that are others, or missing, are refused, or read as pyperf reads them."""
    where = data.draw(st.integers(0, len(real_file) - 1))
    piece = data.draw(st.sampled_from([b"", b"\x00", b"0", b"-", b'"', b"\xff", b"e9", b"NaN", b"]", b",", b"\\n"]))
    damaged = real_file[:where] + piece + real_file[where + data.draw(st.integers(0, 3)) :]
    suite = read_quickly(damaged)
    if suite is not None:
        _same_as_pyperf(damaged, suite)


@pytest.fixture(scope="module")
def real_file(real_files: tuple[Path, ...], unpack: Callable[[Path], bytes]) -> bytes:
    """A part of a real file that pyperf reads in no time."""
    document = json.loads(unpack(real_files[0]))
    document["benchmarks"] = document["benchmarks"][:3]
    return json.dumps(document).encode()


def test_right_files_need_no_pyperf(real_results: Path, unpack: Callable[[Path], bytes]) -> None:
    """Real files, and the one that is changed above, are read without pyperf, and just as with it."""
    files = [json.dumps(FILE).encode(), *(unpack(path) for path in sorted(real_results.rglob("*.json.gz")))]
    assert len(files) > 20
    for data in files:
        suite = read_quickly(data)
        assert suite is not None
        _same_as_pyperf(data, suite)
    assert read_quickly(files[-1]) == _read_by_pyperf(files[-1])
    assert read_quickly(files[0]) == _read_by_pyperf(files[0])


def test_values_beyond_all_measure(make_file: Callable[..., bytes]) -> None:
    """A value whose square no number can hold is refused, with its benchmark."""
    with pytest.raises(ResultError, match=r"^the result file has a value of benchmark 'a' of 1e\+100 or more$"):
        read_suite(make_file({"a": [1e200]}))
    with pytest.raises(ResultError, match=r"^the result file has a value of benchmark 'a' of 1e-100 or less$"):
        read_suite(make_file({"a": [1e-162, 2e-162]}))


def test_truths_need_no_pyperf(make_file: Callable[..., bytes]) -> None:
    """bench_runner's files said for months that they were not to be published, by a value that is no number."""
    data = make_file({"a": [1.0, 2.0]}, publish=False, odd=True)
    suite = read_quickly(data)
    assert suite is not None
    _same_as_pyperf(data, suite)
    for name in ("duration", "loops", "mem_max_rss"):
        assert read_quickly(make_file({"a": [1.0, 2.0]}, **{name: True})) is None


@pytest.mark.parametrize("number", [10**30, -(10**30), 10**400])
def test_numbers_beyond_the_index(make_file: Callable[..., bytes], number: int) -> None:
    """A number in the metadata that the index cannot keep is refused, not met when it is to be kept."""
    with pytest.raises(ResultError, match="too large for 64 bits$"):
        read_suite(make_file({"a": [1.0]}, odd=number))


def test_memory_beyond_all_measure(make_file: Callable[..., bytes]) -> None:
    """A process that says that it had more memory than there is says nothing of its memory."""
    document = json.loads(make_file({"a": [1.0]}))
    document["benchmarks"][0]["runs"][0]["metadata"] = {"mem_max_rss": 10**400}
    suite = read_suite(json.dumps(document).encode())
    assert suite.benchmarks["a"].memory is None
    pack_suite(suite)
