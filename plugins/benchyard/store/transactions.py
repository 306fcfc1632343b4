"""Functions of the store in a transaction, for whoever runs them in a thread of the database."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from benchyard.store.errors import StoreError

T = TypeVar("T")


def in_transaction(
    conn: Any, function: Callable[..., T], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Any, StoreError | None]:
    """(value, error): Buildbot's pool logs what is raised in it as fatal, and that there is no such job is no fault."""
    try:
        with conn.begin():
            return function(conn, *args, **kwargs), None
    except StoreError as exc:
        return None, exc
