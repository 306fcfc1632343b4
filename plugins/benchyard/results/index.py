"""What the index keeps of a result's values: each benchmark reduced, and all samples packed.

Both are derived from the file, and made when it is taken in: nobody who compares reads the file again.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from benchyard.results.errors import ResultError
from benchyard.results.packing import pack, unpack
from benchyard.results.reading import Samples, Suite
from benchyard.results.statistics import spread_of


def index_suite(suite: Suite) -> dict[str, Any]:
    """What a file's values are in the index: `measurements`, a row for each benchmark, and the packed `samples`."""
    return {"measurements": tuple(_reduced(suite)), "samples": pack_suite(suite)}


def pack_suite(suite: Suite) -> bytes:
    """The samples as bytes, from which `unpack_suite` makes them again without JSON."""
    return pack(msgspec.msgpack.encode(suite))


def unpack_suite(packed: bytes) -> Suite:
    """The samples again; ResultError for bytes that `pack_suite` has not made, or not in this version."""
    try:
        return msgspec.msgpack.decode(unpack(packed), type=Suite)
    except (ResultError, msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ResultError("the packed samples of the result are damaged; they can be made again from its file") from exc


def _reduced(suite: Suite) -> Iterator[dict[str, Any]]:
    for name, samples in suite.benchmarks.items():
        yield {"benchmark": name, **_statistics(samples)}


def _statistics(samples: Samples) -> dict[str, Any]:
    spread = spread_of(samples.values)
    ordered = sorted(samples.values)
    centre = _median(ordered)
    return {
        "unit": samples.unit,
        "n": spread.n,
        "mean": spread.mean,
        "stdev": spread.stdev,
        "median": centre,
        "mad": _median(sorted([abs(value - centre) for value in ordered])),
        "minimum": ordered[0],
        "maximum": ordered[-1],
        "memory": samples.memory,
        "version": samples.version,
    }


def _median(ordered: Sequence[float]) -> float:
    """The middle value, or halfway between the two that are."""
    half, odd = divmod(len(ordered), 2)
    return ordered[half] if odd else (ordered[half - 1] + ordered[half]) / 2.0
