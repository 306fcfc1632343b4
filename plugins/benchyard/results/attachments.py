"""Files that belong to a result besides its own: flame graphs and the like, in the folder RESULT.d beside it.

They are kept as results are: whole, read-only, and never replaced by others.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import msgspec

from benchyard.results.errors import ResultError, StorageError
from benchyard.results.files import keep_file
from benchyard.results.patterns import END

#: Files of one result, and bytes of each.
MOST_FILES, MOST_BYTES = 1000, 64 * 1024 * 1024

#: What is told of a file's content, by the end of its name; anything else is bytes.
CONTENT_TYPES = {".svg": "image/svg+xml", ".folded": "text/plain; charset=utf-8"}
UNKNOWN_CONTENT = "application/octet-stream"

_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*" + END, max_length=100)]


class Attachment(msgspec.Struct, frozen=True):
    """A file of a result: its name in the result's folder, its bytes, and their SHA-256 in hex."""

    name: _Name
    size: Annotated[int, msgspec.Meta(ge=0, le=MOST_BYTES)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}" + END)]

    @property
    def content_type(self) -> str:
        """What its content is taken for."""
        return CONTENT_TYPES.get(PurePosixPath(self.name).suffix, UNKNOWN_CONTENT)


def read_attachments(said: Any) -> tuple[Attachment, ...]:
    """What a run says it has left; ResultError, in one line, where no result could have that."""
    try:
        found: tuple[Attachment, ...] = msgspec.convert(
            said, Annotated[tuple[Attachment, ...], msgspec.Meta(max_length=MOST_FILES)]
        )
    except msgspec.ValidationError as exc:
        raise ResultError(f"the attachments cannot be these: {exc}") from exc
    if len({attachment.name for attachment in found}) != len(found):
        raise ResultError("the attachments cannot be these: two have one name")
    return found


def attachments_folder(result: Path) -> Path:
    """Where the files of a result are, the path of whose own file is given."""
    return result.with_name(result.name + ".d")


def store_attachment(root: Path, result: str, attachment: Attachment, source: Path) -> None:
    """Keep a file beside the result at the path `result` below `root`, if it is what it was said to be.

    Safe to repeat. Raises ResultError for other bytes, StorageError where the disk refuses.
    """
    try:
        data = source.read_bytes()
    except FileNotFoundError as exc:
        raise ResultError(f"the attachment {attachment.name} was not delivered") from exc
    if hashlib.sha256(data).hexdigest() != attachment.sha256:
        raise ResultError(f"the attachment {attachment.name} is damaged: its SHA-256 is another")
    place = PurePosixPath(f"{result}.d", attachment.name)
    if not keep_file(root, place, data):
        raise StorageError(f"there is another file at {root / place}: move it away")


def list_attachments(root: Path, result: str) -> tuple[Attachment, ...]:
    """The files of the result at the path `result` below `root`, by name; those whose names we never give are not."""
    folder = attachments_folder(root / result)
    names: Sequence[str] = sorted(path.name for path in folder.glob("*") if path.is_file()) if folder.is_dir() else ()
    found = []
    for name in names:
        data = (folder / name).read_bytes()
        said = {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        try:
            found.append(msgspec.convert(said, Attachment))
        except msgspec.ValidationError:
            continue
    return tuple(found)


def read_attachment(root: Path, result: str, name: str) -> tuple[Attachment, bytes] | None:
    """One of these files by its name, None where there is none of this name."""
    for attachment in list_attachments(root, result):
        if attachment.name == name:
            return attachment, (attachments_folder(root / result) / name).read_bytes()
    return None
