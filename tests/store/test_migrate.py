"""Migrations: complete, repeatable, all or nothing, and no business of Buildbot's tables."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from buildbot.db import enginestrategy
from buildbot.db.model import Model

from benchyard.store.errors import SchemaTooNew, StoreError
from benchyard.store.migrate import VERSION_TABLE, migrate, schema_version
from benchyard.store.tables import metadata


def _ours(name: str | None, type_: str, _parents: object) -> bool:
    return type_ != "table" or (name or "").startswith("benchyard_")


def test_migrated_schema_equals_tables(store: sa.Engine) -> None:
    """The migrations make exactly the tables, columns and indexes that the code uses."""
    with store.connect() as conn:
        options = {"version_table": VERSION_TABLE, "include_name": _ours}
        assert compare_metadata(MigrationContext.configure(conn, opts=options), metadata) == []


def test_migrate_again(store: sa.Engine) -> None:
    """A second migration changes nothing and returns the same version."""
    with store.connect() as conn:
        version = schema_version(conn)
    assert version == "0009"
    assert migrate(store) == version


def test_every_table_is_prefixed(store: sa.Engine) -> None:
    """Nothing of ours is outside the prefix, so nothing of ours can meet a table of Buildbot's."""
    # sqlite_sequence is SQLite's own, for AUTOINCREMENT.
    names = set(sa.inspect(store).get_table_names()) - {"sqlite_sequence"}
    assert names == set(metadata.tables) | {VERSION_TABLE}
    assert all(name.startswith("benchyard_") for name in names)


def test_in_memory() -> None:
    """An in-memory SQLite database is migrated as well, and stays."""
    engine = sa.create_engine("sqlite://")
    migrate(engine)
    assert "benchyard_jobs" in sa.inspect(engine).get_table_names()
    engine.dispose()


@pytest.mark.parametrize("name", ["sqlite:///state.sqlite", "sqlite://", "postgresql"])
def test_beside_buildbot(name: str, tmp_path: Path, new_database: Callable[[], str]) -> None:
    """On Buildbot's own engine, Buildbot's tables and rows stay the same, but for the index of its buildsets' keys."""
    engine = enginestrategy.create_engine(new_database() if name == "postgresql" else name, basedir=str(tmp_path))
    Model.metadata.create_all(engine)
    with engine.begin() as conn:
        conn.execute(Model.metadata.tables["projects"].insert().values(name="p", name_hash="h" * 40, slug="p"))
    before = _schema(engine)

    migrate(engine)

    after = _schema(engine)
    before["buildsets"][1].append("benchyard_buildsets_key")
    before["buildsets"][1].sort()
    assert {table: after[table] for table in before} == before
    assert len(after) == len(before) + len(metadata.tables) + 1
    with engine.connect() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(Model.metadata.tables["projects"])).scalar() == 1
    engine.dispose()


def test_buildbot_after_us(tmp_path: Path) -> None:
    """Where Buildbot's tables come after ours, the next migration makes the index, and one more leaves it."""
    engine = enginestrategy.create_engine("sqlite:///state.sqlite", basedir=str(tmp_path))
    migrate(engine)
    Model.metadata.create_all(engine)
    for _ in range(2):
        migrate(engine)
        assert "benchyard_buildsets_key" in _schema(engine)["buildsets"][1]
    engine.dispose()


def test_too_new(store: sa.Engine) -> None:
    """A database of a newer benchyard is refused by an error that names both versions, and left alone."""
    with store.begin() as conn:
        conn.execute(sa.update(sa.table(VERSION_TABLE, sa.column("version_num"))).values(version_num="0099"))
    with pytest.raises(SchemaTooNew, match=r"schema 0099.*schemas up to 0009") as caught:
        migrate(store)
    assert (caught.value.found, caught.value.known) == ("0099", "0009")
    with store.connect() as conn:
        assert schema_version(conn) == "0099"


def test_all_or_nothing(engine: sa.Engine) -> None:
    """A migration that fails at its last table leaves none of the tables before it."""
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE benchyard_history (id INTEGER)")
    with pytest.raises(sa.exc.DBAPIError, match="benchyard_history"):
        migrate(engine)
    assert set(sa.inspect(engine).get_table_names()) - {"sqlite_sequence"} == {"benchyard_history"}


def test_masters_that_start_at_once(url: str, engine: sa.Engine) -> None:
    """Several processes that migrate the same empty database at the same time all succeed."""
    code = "import sys, sqlalchemy as sa; from benchyard.store.migrate import migrate; "
    code += "print(migrate(sa.create_engine(sys.argv[1])))"
    masters = [
        subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for master in masters:
        out, err = master.communicate(timeout=60)
        assert (master.returncode, out.strip()) == (0, "0009"), err
    assert "benchyard_jobs" in sa.inspect(engine).get_table_names()


def test_other_databases_are_refused() -> None:
    """A database that Buildbot takes and we do not is named in one line, before anything is sent to it."""
    # No MySQL driver is wanted here: a dialect's name is all that is looked at.
    engine = sa.create_engine("sqlite://")
    engine.dialect.name = "mysql"
    with pytest.raises(StoreError, match=r"^benchyard needs SQLite or PostgreSQL as Buildbot's database, not mysql$"):
        migrate(engine)
    engine.dispose()


def _schema(engine: sa.Engine) -> dict[str, tuple[list[str], list[str]]]:
    inspector = sa.inspect(engine)
    return {
        table: (
            [f"{column['name']} {column['type']}" for column in inspector.get_columns(table)],
            sorted(str(index["name"]) for index in inspector.get_indexes(table)),
        )
        for table in inspector.get_table_names()
        if not table.startswith("sqlite_")
    }
