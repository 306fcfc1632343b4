"""What Alembic runs to migrate, on the connection and in the transaction of `benchyard.store.migrate`."""

from typing import Any

from alembic import context


def _include_name(name: str | None, type_: str, parent_names: Any) -> bool:
    # Buildbot's tables are in the same database: they are none of our business.
    return type_ != "table" or (name or "").startswith("benchyard_")


_connection = context.config.attributes["connection"]
context.configure(
    connection=_connection,
    version_table=context.config.attributes["version_table"],
    include_name=_include_name,
    render_as_batch=_connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
