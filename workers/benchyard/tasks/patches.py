"""Patches from outside, looked at before anything applies them: ordinary files, and nothing outside of the source tree.

Lines are told apart as `git apply` does it (`apply.c`): what it reads as a header is checked, and refused where it is
unusual; prose around it, such as a commit's message, is not looked at. A patch need not say of a file that it is a
link, where the source has it as one: that is seen in what the patch has changed.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from benchyard.tasks.errors import RecipeError

#: Characters; what `buildbot try` can send at most.
LARGEST = 640_000

_GIT, _OLD, _NEW, _HUNK = "diff --git ", "--- ", "+++ ", "@@ -"
_RANGES = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@", re.ASCII)
_MOVES = ("rename from ", "rename to ", "rename old ", "rename new ", "copy from ", "copy to ")
_MODES = ("new file mode ", "deleted file mode ", "old mode ", "new mode ")
_INDEX = "index "
#: The lines that git takes for a part of the header that `diff --git` begins.
_PARTS = (_OLD, _NEW, *_MOVES, *_MODES, _INDEX, "similarity index ", "dissimilarity index ")
# Git reads a mode as an octal number, after blanks, with a sign, with any zeros before it, and ignores what follows.
_ORDINARY = re.compile(r"100(?:644|755)[ \t\r]*")
_OBJECTS = re.compile(r"[0-9a-f]+\.\.[0-9a-f]+[ \t\r]*", re.ASCII)
_SPECIAL = {0o120000: "a symbolic link", 0o160000: "a submodule"}
#: What git is asked after `git apply --index`; a line has the modes before and after, two ids, a letter, and the path.
CHANGES = ("diff", "--cached", "--raw", "--no-renames", "HEAD")
_CHANGE = re.compile(r":([0-7]{6}) ([0-7]{6}) \S+ \S+ [A-Z]\d*\t(.*)", re.ASCII)
_NONE = "000000"
# A path as git prints it where it has unusual characters.
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb'\\([0-3][0-7]{2}|[abfnrtv"\\])')
_ESCAPES = dict(zip(b"abfnrtv", b"\a\b\f\n\r\t\v", strict=True))


class _Name(NamedTuple):
    """A path that a header names, and what stands before it in a diff of level 1."""

    path: str
    prefix: str


def patch_id(text: str) -> str:
    """What a patch is known by: the SHA-256 of its text."""
    return hashlib.sha256(text.encode()).hexdigest()


def check_patch(text: str) -> int:
    """Return the `-p` level of a unified diff (1 as git makes them, else 0); RecipeError for one that is not taken."""
    if len(text) > LARGEST:
        raise RecipeError("patch", f"it has {len(text)} characters; {LARGEST} are the most")
    if "\0" in text:
        raise RecipeError("patch", "it is not text; make it with `git diff`, without binary files")
    names = list(_names(text))
    if not names:
        raise RecipeError("patch", "it changes no file; make it with `git diff`")
    level = 1 if all(name.path.startswith(name.prefix) for name in names) else 0
    for name in names:
        _check_path(name.path.removeprefix(name.prefix) if level else name.path)
    return level


def check_changes(raw: str) -> None:
    """Refuse a patch by what it has changed, as the command CHANGES prints it: nothing but ordinary files."""
    for before, after, path in _CHANGE.findall(raw):
        for mode in {before, after} - {_NONE}:
            _check_mode(mode, of=path)


def _names(text: str) -> Iterator[_Name]:
    """The paths that a diff changes."""
    # Git ends lines here alone; there are form feeds in CPython's source.
    lines = text.split("\n")
    named: tuple[_Name, ...] | None = None  # by the header that `diff --git` has begun; None outside of one
    old = new = 0  # lines of a hunk that are to come
    for number, line in enumerate(lines):
        if old > 0 or new > 0:
            old -= line[:1] in ("-", " ", "")
            new -= line[:1] in ("+", " ", "")
        elif hunk := _RANGES.match(line):
            old, new = (int(count) if count is not None else 1 for count in hunk.groups())
            named = None
        elif line.startswith(_GIT):
            named = _named(line.removeprefix(_GIT))
        elif named is not None and line.startswith(_PARTS):
            yield from _part(line, named)
        else:
            named = None
            if line.startswith("GIT binary patch") or re.match(r"Binary files .* differ\r?$", line):
                raise RecipeError(
                    "patch", "it changes a binary file; that cannot be sent as a patch: push a branch instead"
                )
            following = lines[number + 1 : number + 3]
            if line.startswith(_OLD) and [part[:4] for part in following] == [_NEW, _HUNK]:
                yield from (*_file(line), *_file(following[0]))


def _part(line: str, named: tuple[_Name, ...]) -> Iterator[_Name]:
    """The paths that a line of a header changes."""
    if line.startswith((_OLD, _NEW)):
        yield from _file(line)
    elif line.startswith(_MOVES):
        yield _Name(_path(line.split(" ", 2)[2], ends="\r"), "")
    elif line.startswith(_MODES):
        _check_mode(line.split("mode ", 1)[1])
        yield from named
    elif line.startswith(_INDEX) and not _OBJECTS.fullmatch(line.removeprefix(_INDEX)):
        _check_mode(line.removeprefix(_INDEX).partition(" ")[2])


def _file(line: str) -> Iterator[_Name]:
    """The path in a line that begins with `--- ` or `+++ `."""
    path = _path(line[4:], ends="\t\r")
    if path != "/dev/null":
        yield _Name(path, "a/" if line.startswith(_OLD) else "b/")


def _named(text: str) -> tuple[_Name, ...]:
    """The path in `a/PATH b/PATH`, which blanks may be in; () where there are two, which further lines name again."""
    # Whatever git takes for the path, it is a part of this.
    for part in re.split(r'[/\s"]', _QUOTED.sub(lambda quoted: _unquoted(quoted[1]), text)):
        if _leads_out(part):
            raise RecipeError("patch", f"it touches {text[:120]!r}, which is outside of the source tree")
    text = text.rstrip("\r")
    middle = len(text) // 2
    halves = text[:middle], text[middle + 1 :]
    if text[middle : middle + 1] != " " or any(half[:1] == '"' and not _QUOTED.fullmatch(half) for half in halves):
        return ()
    old, new = map(_path, halves)
    same = old == new or old.partition("/")[2] == new.partition("/")[2]
    return (_Name(old, "a/"), _Name(new, "b/")) if same else ()


def _check_mode(text: str, of: str = "") -> None:
    if not _ORDINARY.fullmatch(text):
        number = re.match(r"\s*\+?([0-7]+)", text, re.ASCII)
        what = _SPECIAL.get(int(number[1], 8) & 0o170000 if number else 0, f"a file of the mode {text[:20]!r}")
        named = f"{what}, {of[:120]}" if of else what
        raise RecipeError("patch", f"it changes {named}; only ordinary files may be changed")


def _check_path(path: str) -> None:
    if not path or path.startswith("/") or "\\" in path or any(_leads_out(part) for part in path.split("/")):
        raise RecipeError("patch", f"it touches {path[:120]!r}, which is outside of the source tree")


def _leads_out(part: str) -> bool:
    # A date, which older tools put after the path, is no part of it.
    return part.partition(" ")[0].casefold() in ("..", ".git")


def _path(text: str, *, ends: str = "\r") -> str:
    """A path up to one of the characters that end it, or in quotes, without these."""
    if not text.startswith('"'):
        path = re.split(f"[{ends}]", text, maxsplit=1)[0]
    elif (quoted := _QUOTED.match(text)) is not None:
        path = _unquoted(quoted[1])
    else:
        raise RecipeError("patch", f"it names a file by {text[:120]!r}, where the other quotation mark is missing")
    if not path.isprintable():
        raise RecipeError("patch", f"it names a file by unusual characters: {path[:120]!r}; rename the file")
    return path


def _unquoted(text: str) -> str:
    """What git means by a path in quotes: UTF-8, and octal numbers for bytes that are no ASCII."""
    raw = text.encode()
    if b"\\" in _ESCAPE.sub(b"", raw):
        raise RecipeError("patch", f"it names a file by {text[:120]!r}, which git does not write so")
    try:
        return _ESCAPE.sub(lambda escape: bytes([_byte(escape[1])]), raw).decode()
    except UnicodeDecodeError as exc:
        raise RecipeError("patch", f"it names a file by unusual characters: {text[:120]}; rename the file") from exc


def _byte(escape: bytes) -> int:
    return int(escape, 8) if escape.isdigit() else _ESCAPES.get(escape[0], escape[0])
