"""Medians of rows."""

import statistics

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchyard.results.arrays import medians

ROWS = st.integers(1, 7).flatmap(lambda n: st.lists(st.lists(st.floats(-1e9, 1e9), min_size=n, max_size=n), min_size=1))


@given(ROWS)
def test_medians(rows: list[list[float]]) -> None:
    """They are what `statistics.median` says of each row."""
    found = medians(np.sort(np.array(rows), axis=1))
    assert found.tolist() == [statistics.median(row) for row in rows]
