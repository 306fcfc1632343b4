"""A store with users."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchyard.store.migrate import migrate


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sa.Connection]:
    """A connection to an empty store on SQLite."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/state.sqlite")
    migrate(engine)
    with engine.begin() as conn:
        yield conn
    engine.dispose()
