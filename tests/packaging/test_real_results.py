"""The real result files that tests need are known by name, and missed in one line."""

from pathlib import Path

import pytest
import realresults


def test_missed_in_one_line(tmp_path: Path) -> None:
    """A folder of other files, or of some of them, is refused with the first file that it lacks."""
    with pytest.raises(realresults.NotThere, match=r"^set BENCHYARD_REAL_RESULTS to the folder with the result files"):
        realresults.find({})
    *names, last = realresults.names()
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    environ = {"BENCHYARD_REAL_RESULTS": str(tmp_path)}
    with pytest.raises(realresults.NotThere) as missed:
        realresults.find(environ)
    assert str(missed.value) == (
        f"BENCHYARD_REAL_RESULTS={tmp_path} lacks {last}; tests/support/realresults.py names all of them"
    )
    (tmp_path / last).touch()
    assert realresults.find(environ) == tmp_path
