"""Reading a settings file into its struct, with every fault in one line that names file, key and remedy."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from benchyard.config.tables import File, Lab, Poller, Remote, Schedule, Suite, Target
from benchyard.publish.notices.settings import AnyNotifier
from benchyard.publish.settings import DestinationSettings


class SettingsError(Exception):
    """A settings file is wrong; the message names file, key and remedy in one line."""


_S = TypeVar("_S", bound=msgspec.Struct)

#: Tables that say of what kind they are: their structs, by what the kinds are called in a settings file.
KINDS: dict[str, dict[str, type[msgspec.Struct]]] = {
    head: {str(kind.__struct_config__.tag): kind for kind in get_args(union)}
    for head, union in (("publish", DestinationSettings), ("notify", AnyNotifier))
}


def decode(path: Path, kind: type[_S]) -> _S:
    """The struct that a settings file is; SettingsError at the first fault."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{path}: not valid TOML: {exc}") from exc
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as exc:
        raise SettingsError(f"{path}: {_explain(str(exc), data, kind)}") from exc


_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`")
_MISSING = re.compile(r"Object missing required field `(?P<key>[^`]*)`")


def _explain(message: str, data: Mapping[str, Any], kind: type[msgspec.Struct]) -> str:
    """msgspec's message with table and key as the file spells them; it writes `[...]` for the member of a mapping."""
    for table, inner, part in _tables(data, kind):
        if inner is None:
            return f"[{table}] {_no_kind(part, KINDS[table.partition('.')[0]])}"
        try:
            msgspec.convert(part, inner)
        except msgspec.ValidationError as exc:
            return f"[{table}] " + _in_words(str(exc), inner, "the table")
    return _in_words(message, kind, "the file")


def _tables(
    data: Mapping[str, Any], kind: type[msgspec.Struct]
) -> Iterator[tuple[str, type[msgspec.Struct] | None, Any]]:
    """(name, struct, value) of each table in a settings file; a host's file has none.

    The struct of a table that says its kind is that of the kind, None where there is no such kind.
    """
    if kind is not File:
        return
    if "lab" in data:
        yield "lab", Lab, data["lab"]
    kinds = (
        ("targets", Target), ("schedules", Schedule), ("remotes", Remote), ("pollers", Poller), ("suites", Suite)
    )  # fmt: skip
    for head, inner in kinds:
        members = data.get(head)
        if isinstance(members, Mapping):
            yield from ((f"{head}.{name}", inner, part) for name, part in members.items())
    for head, known in KINDS.items():
        members = data.get(head)
        for name, part in members.items() if isinstance(members, Mapping) else ():
            named = part.get("kind") if isinstance(part, Mapping) else next(iter(known))
            yield f"{head}.{name}", known.get(str(named)), part


def _no_kind(part: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    known = ", ".join(kinds)
    if "kind" not in part:
        return f"the key 'kind' is missing; it is one of {known}"
    return f"kind = {part['kind']!r}: no such kind{nearest(str(part['kind']), kinds)}; known are {known}"


def _in_words(message: str, kind: type[msgspec.Struct], whole: str) -> str:
    tag = kind.__struct_config__.tag_field
    keys = (*((tag,) if tag else ()), *kind.__struct_fields__)
    if match := _UNKNOWN.match(message):
        return f"unknown key {match['key']!r}{nearest(match['key'], keys)}; known are {', '.join(keys)}"
    if match := _MISSING.match(message):
        return f"the key {match['key']!r} is missing; add it"
    what, _, at = message.partition(" - at `$.")
    return f"{at.rstrip('`') or whole}: {what[:1].lower()}{what[1:]}; correct the value"


def nearest(word: str, known: Iterable[str]) -> str:
    """`, did you mean ...?` for a word that is not known, if one that is comes close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""
