"""What the index keeps of a result's values: each benchmark reduced, and all samples packed.

Both are derived from the file, and made when it is taken in: nobody who compares reads the file again.
"""

from typing import Any

import msgspec
import numpy as np

from benchyard.results.arrays import medians
from benchyard.results.errors import ResultError
from benchyard.results.packing import pack, unpack
from benchyard.results.reading import Suite
from benchyard.results.statistics import mean


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


def _reduced(suite: Suite) -> list[dict[str, Any]]:
    """The statistics of all benchmarks, worked out together for those of as many values; sums of means are exact."""
    sizes: dict[int, list[str]] = {}
    for name, samples in suite.benchmarks.items():
        sizes.setdefault(len(samples.values), []).append(name)
    found = {}
    for size, names in sizes.items():
        values = np.sort(np.array([suite.benchmarks[name].values for name in names]), axis=1)
        means = np.array([mean(suite.benchmarks[name].values) for name in names])
        stdevs = np.sqrt(((values - means[:, None]) ** 2).sum(axis=1) / (size - 1)).tolist() if size > 1 else None
        middles = medians(values)
        mads = medians(np.sort(np.abs(values - middles[:, None]), axis=1)).tolist()
        columns = zip(
            means.tolist(), middles.tolist(), mads, values[:, 0].tolist(), values[:, -1].tolist(), strict=True
        )
        for number, (name, (centre, median, mad, least, most)) in enumerate(zip(names, columns, strict=True)):
            samples = suite.benchmarks[name]
            found[name] = {
                "benchmark": name,
                "unit": samples.unit,
                "n": size,
                "mean": centre,
                "stdev": stdevs[number] if stdevs is not None else None,
                "median": median,
                "mad": mad,
                "minimum": least,
                "maximum": most,
                "memory": samples.memory,
                "version": samples.version if samples.version.isprintable() else "",
            }
    return [found[name] for name in suite.benchmarks]
