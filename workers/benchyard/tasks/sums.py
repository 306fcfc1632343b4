"""The sum of an archive, kept in a file beside it: an archive without one came only half way to its place."""

from pathlib import Path

from benchyard.tasks.files import write_atomically


def keep_sum(archive: Path, sha256: str) -> None:
    """Note the SHA-256 of an archive that is at its place now."""
    write_atomically(_beside(archive), sha256.encode())


def kept_sum(archive: Path) -> str | None:
    """What the SHA-256 of an archive must be; None where there is none, or not all of it."""
    try:
        return _beside(archive).read_text("ascii") if archive.is_file() else None
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def drop_archive(archive: Path) -> None:
    """Remove an archive and its sum."""
    _beside(archive).unlink(missing_ok=True)
    archive.unlink(missing_ok=True)


def _beside(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.sha256")
