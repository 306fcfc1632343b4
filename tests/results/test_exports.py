"""Comparisons as other programs read them."""

import csv
import io
from collections.abc import Callable

import pytest

from benchyard.results.compare import compare
from benchyard.results.exports import comparison_csv
from benchyard.results.reading import read_suite


@pytest.mark.parametrize("name", ['=HYPERLINK("http://evil.example")', "+1", "-1", "@SUM(A1)"])
def test_no_name_is_a_formula(make_file: Callable[..., bytes], name: str) -> None:
    """Names of benchmarks and of sides are text in a spreadsheet, whatever they begin with."""
    suite = read_suite(make_file({name: [1.0, 2.0]}))
    (row,) = csv.DictReader(io.StringIO(comparison_csv([(name, "head", compare(suite, suite))])))
    assert row["benchmark"] == row["base"] == f"'{name}"
    assert row["base_mean"] == "1.5"
