"""Bringing the database to the schema of this code, by the numbered migrations beside this file."""

from importlib import resources
from typing import TYPE_CHECKING

import sqlalchemy as sa

from benchyard.store.errors import SchemaTooNew
from benchyard.store.sql import check_dialect

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "benchyard_alembic_version"

# Any number that Buildbot and other programs in the same database do not use as a lock.
_LOCK = 0x62656E6368

_KEY_INDEX = "benchyard_buildsets_key"


def migrate(engine: sa.Engine) -> str:
    """Bring the `benchyard_*` tables up to date and return the schema's version; all happens, or nothing.

    Buildbot's own tables stay as they are, but for one more index. Masters that start at the same time wait for
    one another. Raises SchemaTooNew where a newer benchyard was here, StoreError for a database other than SQLite
    and PostgreSQL.
    """
    from alembic import command

    with engine.begin() as conn:
        check_dialect(conn)
        _lock(conn)
        config = _config(conn)
        known = _known(config)
        found = schema_version(conn)
        if found is not None and found not in known:
            raise SchemaTooNew(found, known[-1])
        command.upgrade(config, "head")
        _index_keys(conn)
    return known[-1]


def schema_version(conn: sa.Connection) -> str | None:
    """Return the version of the schema in the database, None where there is none."""
    if not sa.inspect(conn).has_table(VERSION_TABLE):
        return None
    table = sa.table(VERSION_TABLE, sa.column("version_num", sa.String))
    return conn.execute(sa.select(table.c.version_num)).scalar_one_or_none()


def _index_keys(conn: sa.Connection) -> None:
    """Let the requests of a job's stages be found by their key; Buildbot has no index there.

    Not in a migration, as Buildbot's tables may come later than ours.
    """
    inspector = sa.inspect(conn)
    if not inspector.has_table("buildsets"):
        return
    if _KEY_INDEX not in {index["name"] for index in inspector.get_indexes("buildsets")}:
        key = sa.Column("external_idstring", sa.String)
        sa.Table("buildsets", sa.MetaData(), key)
        sa.Index(_KEY_INDEX, key).create(conn)


def _lock(conn: sa.Connection) -> None:
    if conn.dialect.name == "postgresql":
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    else:
        # Python's sqlite3 would run each CREATE TABLE in a transaction of its own; this starts one for all.
        conn.exec_driver_sql("BEGIN IMMEDIATE")


def _config(conn: sa.Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(resources.files("benchyard.store") / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = conn
    config.attributes["version_table"] = VERSION_TABLE
    return config


def _known(config: "Config") -> tuple[str, ...]:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(config).walk_revisions()
    return tuple(reversed([script.revision for script in scripts]))
