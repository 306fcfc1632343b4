"""Patches from outside, looked at before anything applies them: text, and nothing outside of the source tree."""

import hashlib
import re

from benchyard.tasks.errors import RecipeError

#: Characters; what `buildbot try` can send at most.
LARGEST = 640_000

_OLD, _NEW = "--- ", "+++ "
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
# A path as git prints it: quoted where it has unusual characters.
_EXTENDED = ("rename from ", "rename to ", "copy from ", "copy to ")
_SPECIAL = {"120000": "a symbolic link", "160000": "a submodule"}


def patch_id(text: str) -> str:
    """What a patch is known by: the SHA-256 of its text."""
    return hashlib.sha256(text.encode()).hexdigest()


def check_patch(text: str) -> int:
    """Return the `-p` level of a unified diff (1 as git makes them, else 0); RecipeError for one that is not taken."""
    if len(text) > LARGEST:
        raise RecipeError("patch", f"it has {len(text)} characters; {LARGEST} are the most")
    if "\0" in text:
        raise RecipeError("patch", "it is not text; make it with `git diff`, without binary files")
    paths = _paths(text)
    if not paths:
        raise RecipeError("patch", "it changes no file; make it with `git diff`")
    level = 1 if all(path == "/dev/null" or path[:2] in ("a/", "b/") for path in paths) else 0
    for path in paths:
        if path != "/dev/null":
            _check_path(path[2:] if level else path)
    return level


def _paths(text: str) -> list[str]:
    """The paths that a diff names, outside of the lines of its hunks."""
    paths: list[str] = []
    old = new = 0
    for line in text.splitlines():
        if old > 0 or new > 0:
            old -= line[:1] in ("-", " ", "")
            new -= line[:1] in ("+", " ", "")
            continue
        if hunk := _HUNK.match(line):
            old, new = (int(count) if count is not None else 1 for count in hunk.groups())
        elif line.startswith((_OLD, _NEW)):
            paths.append(_unquoted(line[4:].partition("\t")[0].rstrip()))
        elif line.startswith(_EXTENDED):
            path = _unquoted(line.split(" ", 2)[2].rstrip())
            _check_path(path)
            paths.append(f"a/{path}")
        elif line.startswith(("GIT binary patch", "Binary files ")):
            raise RecipeError(
                "patch", "it changes a binary file; that cannot be sent as a patch: push a branch instead"
            )
        else:
            _check_mode(line)
    return paths


def _check_mode(line: str) -> None:
    words = line.split()
    if line.startswith(("new file mode", "new mode", "old mode", "deleted file mode", "index ")) and words:
        for mode, what in _SPECIAL.items():
            if words[-1] == mode:
                raise RecipeError("patch", f"it changes {what}; only ordinary files may be changed")


def _check_path(path: str) -> None:
    parts = path.split("/")
    if not path or path.startswith("/") or ".." in parts or ".git" in parts or "\\" in path:
        raise RecipeError("patch", f"it touches {path[:120]!r}, which is outside of the source tree")


def _unquoted(path: str) -> str:
    if path.startswith('"'):
        raise RecipeError("patch", f"it names a file by unusual characters: {path[:120]}; rename the file")
    return path
