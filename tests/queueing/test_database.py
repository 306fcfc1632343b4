"""Buildbot's connections to a real PostgreSQL."""

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from benchyard.queueing.database import PostgreSQLStrategy


@pytest.fixture
def engine(new_database: Callable[[], str]) -> Iterator[sa.Engine]:
    """An engine as the master has it."""
    url = sa.make_url(new_database())
    engine = sa.create_engine(url, poolclass=sa.QueuePool)
    PostgreSQLStrategy().set_up(url, engine)
    yield engine
    engine.dispose()


def cut_off(engine: sa.Engine) -> None:
    """End what a server does for all connections to this database but for the one that asks."""
    other = sa.create_engine(engine.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with other.connect() as conn:
        conn.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        ).all()


def test_a_server_that_goes_after_the_answer(engine: sa.Engine) -> None:
    """What was answered is: a connection that is cut before it is given back is no error, and the next one is new."""
    conn = engine.connect()
    assert conn.exec_driver_sql("SELECT 1").scalar() == 1
    cut_off(engine)
    conn.close()
    with engine.connect() as again:
        assert again.exec_driver_sql("SELECT 2").scalar() == 2


def test_what_cannot_be_committed_is_told(engine: sa.Engine) -> None:
    """Nobody may take for done what the server never heard of: it is done again."""
    with pytest.raises(sa.exc.OperationalError) as caught, engine.connect() as conn, conn.begin():
        conn.exec_driver_sql("CREATE TABLE one (id int)")
        cut_off(engine)
    assert PostgreSQLStrategy().should_retry(caught.value)
    with engine.connect() as again:
        assert again.exec_driver_sql("SELECT to_regclass('one')").scalar() is None
