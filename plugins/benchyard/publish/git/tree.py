"""The files of a branch, read and changed without a working copy: what is committed is byte for byte what was given."""

import os
from collections.abc import Iterator, Sequence

from benchyard.publish.git.running import Git, GitFailed

_FILE = "100644"
_NO_OBJECT = "0" * 40

# So many files are read at once.
_AT_ONCE = 20


class Tree:
    """The files below `folder` of the commit `base`, by paths relative to it; none where there is no commit yet.

    Changes are kept here until they are committed.
    """

    def __init__(self, git: Git, base: str | None, folder: str) -> None:
        self._git, self._base = git, base
        self._prefix = f"{folder}/" if folder else ""
        self._blobs: dict[str, str] = {}
        self._changed: dict[str, str | None] = {}
        if base is not None:
            where = ("--", self._prefix) if self._prefix else ()
            listed = git.run("ls-tree", "-r", "-z", "--full-tree", base, *where)
            for line in filter(None, os.fsdecode(listed).split("\0")):
                meta, _, path = line.partition("\t")
                mode, kind, blob = meta.split(" ")
                if kind == "blob" and mode.startswith("100"):
                    self._blobs[path.removeprefix(self._prefix)] = blob

    def paths(self) -> list[str]:
        """All files, sorted."""
        return sorted(self._blobs)

    def blob(self, path: str) -> str | None:
        """The id of a file's bytes."""
        return self._blobs.get(path)

    def read(self, path: str) -> bytes | None:
        """The bytes of a file."""
        blob = self._blobs.get(path)
        return None if blob is None else next(self.read_blobs([blob]))[1]

    def read_blobs(self, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Bytes by their ids, some at a time."""
        for start in range(0, len(blobs), _AT_ONCE):
            wanted = blobs[start : start + _AT_ONCE]
            found = self._git.run("cat-file", "--batch", data="".join(f"{blob}\n" for blob in wanted).encode())
            place = 0
            for blob in wanted:
                end = found.index(b"\n", place)
                _, kind, *size_text = found[place:end].split()
                if kind != b"blob":
                    raise GitFailed("cat-file", f"fatal: missing blob {blob}", 1)
                size = int(size_text[0])
                yield blob, found[end + 1 : end + 1 + size]
                place = end + size + 2

    def store(self, data: bytes) -> str:
        """Put bytes into the repository, as they are; their id."""
        return self._git.run("hash-object", "-w", "--stdin", data=data).decode().strip()

    def write(self, path: str, data: bytes) -> None:
        """Make or replace a file."""
        blob = self.store(data)
        if self._blobs.get(path) != blob:
            self._blobs[path] = self._changed[path] = blob

    def remove(self, path: str) -> None:
        """Remove a file."""
        if self._blobs.pop(path, None) is not None:
            self._changed[path] = None

    def commit(self, message: str, *, name: str, email: str) -> str | None:
        """Commit the changes; None where there are none against the base."""
        index = {"GIT_INDEX_FILE": str(self._git.folder / "index")}
        for left in ("index", "index.lock"):
            (self._git.folder / left).unlink(missing_ok=True)
        self._git.run("read-tree", self._base or "--empty", environ=index)
        lines = [
            f"{_FILE} {blob}\t{self._prefix}{path}\0" if blob else f"0 {_NO_OBJECT}\t{self._prefix}{path}\0"
            for path, blob in self._changed.items()
        ]
        self._git.run("update-index", "-z", "--index-info", data=os.fsencode("".join(lines)), environ=index)
        tree = self._git.run("write-tree", environ=index).decode().strip()
        if self._base is not None:
            before = self._git.run("rev-parse", "--verify", f"{self._base}^{{tree}}").decode().strip()
        else:
            before = self._git.run("hash-object", "-t", "tree", "--stdin", data=b"").decode().strip()
        if tree == before:
            return None
        parents = ("-p", self._base) if self._base is not None else ()
        who = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", name), ("EMAIL", email))
        }
        made = self._git.run("commit-tree", tree, *parents, "-F", "-", data=message.encode(), environ=who)
        return made.decode().strip()
