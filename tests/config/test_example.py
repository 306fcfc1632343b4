"""The settings that are shown as an example: right, and all that there are."""

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
from msgspec.inspect import DictType, StructType, Type, UnionType, type_info

from benchyard.config.notices import make_notices
from benchyard.config.settings import Lab, load_settings
from benchyard.config.tables import File, Host

TEXT = (files("benchyard.config") / "templates" / "benchyard.example.toml").read_text(encoding="utf-8")
BEGINNING, *_TABLES = re.split(r"\n(?=(?:# )?\[)", TEXT)


def tables(section: str) -> list[str]:
    """The tables of a section, those in comments as well."""
    header = re.compile(rf"(# )?\[{section}(\.[\w-]+)?\]\n")
    return [table for table in _TABLES if header.match(table)]


def shows(table: str, key: str) -> bool:
    """Whether a table has a key, be it in a comment or in an inline table."""
    return re.search(rf"^(# )?(\w+ = .*[{{ ])?{key} = ", table, re.MULTILINE) is not None


def structs(kind: Type) -> Iterator[type[msgspec.Struct]]:
    """The structs of a type, those within them as well."""
    match kind:
        case StructType():
            yield kind.cls
            for field in kind.fields:
                yield from structs(field.type)
        case UnionType():
            for one in kind.types:
                yield from structs(one)
        case DictType():
            yield from structs(kind.value_type)


def test_loads(tmp_path: Path) -> None:
    """The example is right, its table that is a comment as well, and says what the defaults are."""
    settings = TEXT + re.sub(r"^# ", "", tables("notify")[-1], flags=re.MULTILINE)
    (tmp_path / "benchyard.toml").write_text(settings, encoding="utf-8")
    (tmp_path / "secrets").mkdir()
    for name in ("publish-speed", "publish-hook", "publish-reviews", "notify-chat"):
        (tmp_path / "secrets" / name).write_text("geheim\n")
    found = load_settings(tmp_path)
    assert found.lab == Lab(url="http://127.0.0.1:8010/")
    assert (list(found.schedules), list(found.notify)) == (["nightly"], ["mail", "list", "chat"])
    assert len(make_notices(found)) == 2 + len(found.notify)


@pytest.mark.parametrize("section", File.__struct_fields__)
def test_shows_every_key(section: str) -> None:
    """What a table may have is shown in its section: what one kind of it alone may have, where that kind is."""
    file = type_info(File)
    assert isinstance(file, StructType)
    (whole,) = (field.type for field in file.fields if field.name == section)
    found = list(structs(whole))
    kinds = [set(struct.__struct_fields__) for struct in found if struct.__struct_config__.tag]
    shared = set.intersection(*kinds) if kinds else set()
    missing = []
    for struct in found:
        tag = struct.__struct_config__.tag
        for key in struct.__struct_fields__:
            where = [table for table in tables(section) if tag is None or key in shared or f'kind = "{tag}"' in table]
            if not any(shows(table, key) for table in where):
                missing.append(f"{struct.__name__}.{key}")
    assert found and not missing


def test_tells_every_key_of_a_host() -> None:
    """The keys of a host, which has a file of its own, are told at the beginning."""
    assert not [key for key in Host.__struct_fields__ if not re.search(rf"^#   .*\b{key}\b", BEGINNING, re.MULTILINE)]
