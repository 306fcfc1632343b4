"""Column types: JSON and flags as both databases can keep them, text that both accept."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Dialect


def clean_text(text: str) -> str:
    """Replace NUL and lone surrogates, which PostgreSQL refuses: a crashed program's log may hold them."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def clean_json(value: Any) -> Any:
    """Replace, in every string of a JSON value, NUL and what UTF-8 cannot encode."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {clean_json(key): clean_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean_json(item) for item in value]
    return value


# As JSON has it.
_NUL = "\\u0000"


class PlainText(sa.types.TypeDecorator[str]):
    """Text of any length without characters that a database refuses."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else clean_text(value)


class Flag(sa.types.TypeDecorator[bool]):
    """A truth value kept as a small integer, as Buildbot keeps its own."""

    impl = sa.SmallInteger
    cache_ok = True

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> bool | None:
        return None if value is None else bool(value)


class Json(sa.types.TypeDecorator[Any]):
    """A JSON value of type `shape` kept as text that PostgreSQL can look into, too; NULL is None."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, shape: Any) -> None:
        super().__init__()
        self.shape = shape

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        try:
            text = msgspec.json.encode(value).decode()
        except UnicodeEncodeError:
            text = _NUL
        # What is only written like one, after a backslash of its own, is kept as it is.
        return msgspec.json.encode(clean_json(value)).decode() if _NUL in text else text

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else msgspec.json.decode(value, type=self.shape)
