"""The database that a new lab is given by its URL."""

import sqlalchemy as sa

from benchyard.lab.errors import LabError
from benchyard.store.tables import users


def check_database(url: str) -> None:
    """LabError, in one line, if a lab cannot be made in the database at `url`; nothing is changed there."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as exc:
        raise LabError(f"--db-url: this is no URL of a database; {_EXAMPLE}") from exc
    if parsed.get_backend_name() != "postgresql":
        raise LabError(f"--db-url is for PostgreSQL, not {parsed.get_backend_name()}; {_EXAMPLE}")
    if parsed.password is not None:
        raise LabError("--db-url: a password there is seen by all users of this machine; put it into ~/.pgpass")
    try:
        engine = sa.create_engine(parsed, poolclass=sa.NullPool)
    except ModuleNotFoundError as exc:
        raise LabError(f"--db-url: {exc.name} is not installed; pip install 'benchyard[postgresql]'") from exc
    except sa.exc.NoSuchModuleError as exc:
        raise LabError(f"--db-url: there is no such driver; {_EXAMPLE}") from exc
    try:
        with engine.connect() as conn:
            taken = sa.inspect(conn).has_table(users.name)
    except sa.exc.SQLAlchemyError as exc:
        reason = str(getattr(exc, "orig", None) or exc).strip().splitlines()[0]
        raise LabError(f"--db-url: the database cannot be reached: {reason}") from exc
    if taken:
        raise LabError("--db-url: this database has a lab already; make an empty one with `createdb`")


_EXAMPLE = "write it like postgresql+psycopg://user@host/database"
