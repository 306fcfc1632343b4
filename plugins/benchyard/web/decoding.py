"""From what a client sent to the types of an operation; what does not fit names its field."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from benchyard.web.problems import Problem

S = TypeVar("S", bound=msgspec.Struct)

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>.*)`", re.DOTALL)


def decode_query(arguments: Mapping[bytes, Sequence[bytes]], kind: type[S]) -> S:
    """The query as `kind`: texts are taken for the numbers and truth values that the type wants.

    What is a tuple there may be given more than once.
    """
    query: dict[str, str | list[str]] = {}
    several = {field.name for field in msgspec.structs.fields(kind) if _is_tuple(field)}
    try:
        for key, values in arguments.items():
            name = key.decode()
            if name in several:
                query[name] = [value.decode() for value in values]
                continue
            if len(values) > 1:
                raise Problem(400, "given more than once", name[:80])
            query[name] = values[0].decode()
    except UnicodeDecodeError as exc:
        raise Problem(400, "the query is not UTF-8") from exc
    try:
        decoded = msgspec.convert(query, kind, strict=False)
    except msgspec.ValidationError as exc:
        raise explained(exc) from exc
    for field in query:
        if getattr(decoded, field) is None:  # msgspec takes the word for it
            raise Problem(400, "null is no value here; leave it out", field)
    return decoded


def _is_tuple(field: msgspec.structs.FieldInfo) -> bool:
    kind = field.type
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return get_origin(kind) is tuple


def decode_body(body: bytes, kind: type[S]) -> S:
    """The body as `kind`; no body at all is an empty object."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as exc:
        raise explained(exc) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Problem(400, "the body is not JSON") from exc


def explained(error: msgspec.ValidationError) -> Problem:
    """The problem of a value that does not fit its type, with the field's name."""
    message, _, at = str(error).partition(" - at `$")
    field = at.rstrip("`").lstrip(".").partition("[")[0]
    for pattern, words in ((_UNKNOWN, "no such field"), (_MISSING, "it is missing")):
        if found := pattern.fullmatch(message):
            inner: Any = found["field"][:80]
            return Problem(400, words, f"{field}.{inner}" if field else inner)
    return Problem(400, message[:1].lower() + message[1:], field or None)
