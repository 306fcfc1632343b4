"""Archives of directories: made whole or not at all, and unpacked only if their content is what was promised."""

import hashlib
import os
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchyard.tasks.errors import ArchiveError
from benchyard.tasks.files import sync_directory

# Little compression: an archive is written and read more often than it is stored.
_LEVEL = 1


class Packed(NamedTuple):
    """An archive: the SHA-256 of its bytes, and how many these are."""

    sha256: str
    size: int


def pack(tree: Path, archive: Path, *, leave_out: Callable[[str], bool] = lambda name: False) -> Packed:
    """Write a directory's content to a .tar.gz; `leave_out` is asked for each path in it, such as `lib/libc.a`.

    Times of files are kept, as compiled modules are checked by those; owners are not. ArchiveError where there is no
    room, for one: then nothing is left.
    """

    def clean(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        name = member.name.removeprefix("./")
        if name != "." and leave_out(name):
            return None
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    archive.parent.mkdir(parents=True, exist_ok=True)
    partial = archive.with_name(f".{archive.name}.part")
    partial.unlink(missing_ok=True)  # of one who was killed
    try:
        with tarfile.open(partial, "x:gz", compresslevel=_LEVEL, format=tarfile.PAX_FORMAT) as tar:
            tar.add(tree, ".", filter=clean)
        packed = digest(partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(archive)
        sync_directory(archive.parent)
    except OSError as exc:
        raise ArchiveError(f"{archive} cannot be made: {exc.strerror or exc}") from exc
    finally:
        partial.unlink(missing_ok=True)
    return packed


def digest(archive: Path) -> Packed:
    """What an archive is; reads it once."""
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return Packed(found, archive.stat().st_size)


def unpack(archive: Path, tree: Path, *, sha256: str, check: Callable[[Path], None] = lambda tree: None) -> None:
    """Unpack an archive to a directory that is not there yet; ArchiveError where it has not this sum.

    `check` sees the content first, and may refuse it by raising.
    """
    partial = tree.with_name(f".{tree.name}.{os.getpid()}.part")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        found = digest(archive).sha256
        if found != sha256:
            raise ArchiveError(f"{archive} is damaged: its SHA-256 begins with {found[:12]}, not {sha256[:12]}")
        partial.mkdir(parents=True)
        with tarfile.open(archive, "r:gz") as tar:
            members = tar.getmembers()
            for member in members:
                _check(archive, member)
            tar.extractall(partial, members)  # noqa: S202  (each member was checked)
        check(partial)
        os.sync()  # else a power cut leaves the tree with empty files in it; one call for thousands of these
        partial.rename(tree)
        sync_directory(tree.parent)
    except (tarfile.TarError, zlib.error, EOFError) as exc:
        raise ArchiveError(f"{archive} is no archive that can be read: {exc}") from exc
    except OSError as exc:
        raise ArchiveError(f"{archive} cannot be unpacked to {tree}: {exc.strerror or exc}") from exc
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check(archive: Path, member: tarfile.TarInfo) -> None:
    """Refuse what would be written outside of the directory, and what is no file."""
    inside = _is_inside(member.name)
    if member.issym():
        inside = inside and _is_inside(posixpath.join(posixpath.dirname(member.name), member.linkname))
    elif member.islnk():
        inside = inside and _is_inside(member.linkname)
    elif not (member.isfile() or member.isdir()):
        inside = False
    if not inside:
        raise ArchiveError(f"{archive} has a member that leads out of it: {member.name[:120]!r}")


def _is_inside(name: str) -> bool:
    return not name.startswith("/") and posixpath.normpath(name).split("/")[0] != ".."
