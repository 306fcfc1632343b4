"""What patterns let through, by which texts from outside are checked."""

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest

from benchyard.publish.settings import GitHub
from benchyard.queueing import requests
from benchyard.results import attachments
from benchyard.results.patterns import END
from benchyard.web import filters, hosts, queues, results, tokens, users

if TYPE_CHECKING:
    from tests.packaging.conftest import Repository


def patterns_in(found: Any, seen: set[int]) -> Iterator[str]:
    """The patterns of a type, as msgspec tells of it, and of all that it is made of, which may be itself."""
    if id(found) in seen:
        return
    seen.add(id(found))
    if isinstance(found, msgspec.inspect.StrType) and found.pattern is not None:
        yield found.pattern
    parts = found if isinstance(found, tuple) else ()
    if isinstance(found, msgspec.Struct):
        parts = tuple(getattr(found, field) for field in found.__struct_fields__)
    for part in parts:
        yield from patterns_in(part, seen)


def kinds(above: type = msgspec.Struct) -> Iterator[type]:
    """The structs of ours that are imported."""
    below: list[type] = above.__subclasses__()
    for kind in below:
        if kind.__module__.startswith("benchyard."):
            yield kind
        yield from kinds(kind)


def test_every_pattern_is_for_all_of_a_text(repository: "Repository") -> None:
    """`$` alone, which lets a newline follow, ends none."""
    for module in repository.modules():
        if not module.endswith("__main__") and ".migrations." not in module:
            importlib.import_module(module)
    described: list[type] = sorted(set(kinds()), key=lambda kind: kind.__qualname__)
    seen = set(patterns_in(msgspec.inspect.multi_type_info(described), set()))
    assert len(seen) >= 10
    assert not [pattern for pattern in seen if not pattern.endswith(END) or "$" in pattern[: -len(END)]]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (requests.Path, "/usr/bin/python3"),
        (requests.Word, "nbody"),
        (requests.Ref, "main"),
        (requests.Address, "https://example.org/cpython"),
        (requests.Line, "before merge"),
        (users.UserName, "ada"),
        (filters.Wanted, "linux"),
        (results.Name, "main"),
        (results.Commit, "0123456789ab"),
        (attachments._Name, "nbody.svg"),
        (hosts.HostName, "bench"),
        (hosts.Address, "10.0.0.9"),
        (hosts.Cpus, "2-3"),
        (hosts.Login, "ops"),
        *((field.type, text) for kind, name, text in (
            (tokens.NewToken, "name", "laptop"),
            (queues.Move, "to", "+2"),
            (GitHub, "repository", "python/cpython"),
        ) for field in msgspec.structs.fields(kind) if field.name == name),
    ],
)  # fmt: skip
def test_a_newline_at_the_end_is_no_part_of_it(kind: Any, text: str) -> None:
    """What is good is taken as it is, and refused with a newline behind it."""
    assert get_args(kind)
    assert msgspec.convert(text, kind) == text
    with pytest.raises(msgspec.ValidationError, match=r"matching regex|Expected"):
        msgspec.convert(f"{text}\n", kind)
