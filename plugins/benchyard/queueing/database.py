"""Buildbot's connections to PostgreSQL, so that no job ends by a server that was away for a while."""

import time
from typing import Any

import sqlalchemy as sa
from buildbot.db import enginestrategy
from twisted.python import log

#: Seconds between two looks for a database server that is away.
PAUSE_S = 1.0


class PostgreSQLStrategy(enginestrategy.Strategy):
    """Waits for a server that is away, and does again what was cut off; stock does so for MySQL alone.

    Stock lets the error pass, into builds that then neither end nor go on until the master is started again.
    """

    def set_up(self, _url: Any, engine: sa.Engine) -> None:
        connected = False
        own: Any = engine.dialect  # of this engine alone

        def connect(dialect: sa.Dialect, _record: Any, arguments: Any, options: Any) -> Any:
            from twisted.internet import reactor

            nonlocal connected
            while True:
                try:
                    made = dialect.connect(*arguments, **options)
                except dialect.loaded_dbapi.OperationalError as exc:
                    if not connected or not reactor.running:  # who starts is told at once, who stops does not wait
                        raise
                    log.msg(f"the database is away, trying again: {str(exc).strip().splitlines()[0]}")
                    time.sleep(PAUSE_S)
                else:
                    connected = True
                    return made

        def check(connection: Any, _record: Any, _proxy: Any) -> None:
            try:
                own.do_ping(connection)
            except own.loaded_dbapi.OperationalError as exc:
                raise sa.exc.DisconnectionError from exc

        def roll_back(connection: Any) -> None:
            """What a server that has gone had not committed is rolled back: Buildbot's thread need not hear of it."""
            try:
                stock_rollback(connection)
            except own.loaded_dbapi.OperationalError:
                if not connection.closed:
                    raise

        stock_rollback = own.do_rollback
        own.do_rollback = roll_back
        sa.event.listen(engine, "do_connect", connect)
        sa.event.listen(engine.pool, "checkout", check)

    def should_retry(self, operational_error: Any) -> bool:
        return bool(operational_error.connection_invalidated)


def _strategy(drivername: str) -> Any:
    return PostgreSQLStrategy() if drivername.startswith("postgresql") else _stock(drivername)


_stock = enginestrategy.get_drivers_strategy


def install() -> None:
    """Put our strategy in the place of Buildbot's own; see `engine.install`."""
    enginestrategy.get_drivers_strategy = _strategy
