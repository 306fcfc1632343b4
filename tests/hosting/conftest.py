"""A lab's folder to register hosts in."""

from pathlib import Path

import pytest


@pytest.fixture
def lab_dir(tmp_path: Path) -> Path:
    """The folder of a lab with one target and no hosts."""
    (tmp_path / "benchyard.toml").write_text("[targets.linux]\n", encoding="utf-8")
    return tmp_path
