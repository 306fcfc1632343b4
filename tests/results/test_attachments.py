"""Files that belong to a result: kept beside it, found by its path, and never taken for another."""

import hashlib
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from benchyard.results import trash
from benchyard.results.attachments import (
    Attachment,
    list_attachments,
    read_attachment,
    read_attachments,
    store_attachment,
)
from benchyard.results.errors import ResultError, StorageError
from benchyard.results.layout import path_without_values, valueless_kind

RESULT = "bm-20261122-3.15.0-abcdef0/bm-x.profile"
GRAPH = b"<svg/>"


def said(name: str, data: bytes, **changes: Any) -> dict[str, Any]:
    return {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), **changes}


def attachment(name: str, data: bytes) -> Attachment:
    return Attachment(**said(name, data))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A results folder with one attachment of one result; what was delivered is beside it."""
    folder = tmp_path / "results"
    folder.mkdir()
    (tmp_path / "nbody.svg").write_bytes(GRAPH)
    store_attachment(folder, RESULT, attachment("nbody.svg", GRAPH), tmp_path / "nbody.svg")
    return folder


def test_kept_and_read(root: Path, tmp_path: Path) -> None:
    """A file is read-only beside its result, again is the same, and what it is follows from its name."""
    store_attachment(root, RESULT, attachment("nbody.svg", GRAPH), tmp_path / "nbody.svg")
    (found,) = list_attachments(root, RESULT)
    assert found == attachment("nbody.svg", GRAPH)
    assert found.content_type == "image/svg+xml"
    assert attachment("a.html", b"").content_type == "application/octet-stream"
    assert read_attachment(root, RESULT, "nbody.svg") == (found, GRAPH)
    assert (root / f"{RESULT}.d" / "nbody.svg").stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize("name", ["../nbody.svg", "nbody.txt", "", ".", "..", "/etc/passwd", "nbody.svg/"])
def test_other_names(root: Path, name: str) -> None:
    """What is not in the folder is not there, however it is called."""
    assert read_attachment(root, RESULT, name) is None
    assert list_attachments(root, "bm-other/bm-x.json") == ()


def test_never_replaced(root: Path, tmp_path: Path) -> None:
    """Other bytes of one name are refused, and what was kept stays."""
    (tmp_path / "other").write_bytes(b"<svg>2</svg>")
    with pytest.raises(StorageError, match="another file"):
        store_attachment(root, RESULT, attachment("nbody.svg", b"<svg>2</svg>"), tmp_path / "other")
    assert read_attachment(root, RESULT, "nbody.svg") == (attachment("nbody.svg", GRAPH), GRAPH)


def test_damaged_or_missing(root: Path, tmp_path: Path) -> None:
    """What is not what the run says that it is, is not kept."""
    with pytest.raises(ResultError, match=r"a\.svg is damaged"):
        store_attachment(root, RESULT, attachment("a.svg", b"x"), tmp_path / "nbody.svg")
    with pytest.raises(ResultError, match=r"a\.svg was not delivered"):
        store_attachment(root, RESULT, attachment("a.svg", b"x"), tmp_path / "nothing")


@pytest.mark.parametrize(
    "wrong",
    [
        [said("../x", b"")],
        [said("a/b", b"")],
        [said(".hidden", b"")],
        [said("x" * 101, b"")],
        [said("a", b"", size=10**9)],
        [said("a", b"", sha256="0")],
        [said("a", b""), said("a", b"")],
        [{}],
        "nbody.svg",
        None,
        [said(f"f{number}", b"") for number in range(1001)],
    ],
)
def test_what_no_run_can_leave(wrong: Any) -> None:
    """A report that names what cannot be is refused in one line."""
    with pytest.raises(ResultError) as refused:
        read_attachments(wrong)
    assert "\n" not in str(refused.value)


def test_trash_takes_all(root: Path) -> None:
    """A result's files go into the trash and out of it together."""
    (root / RESULT).write_bytes(b"{}")
    trash.throw_away(root, 1, RESULT, hashlib.sha256(b"{}").hexdigest())
    assert list_attachments(root, RESULT) == ()
    assert read_attachment(trash.folder_of(root, 1, RESULT), RESULT, "nbody.svg") is not None
    assert trash.empty(root, days=1.0) == 0
    assert trash.empty(root, days=-1.0) == 2
    assert list_attachments(trash.folder_of(root, 1, RESULT), RESULT) == ()


def test_trash_keeps_each(root: Path) -> None:
    """Files of one path are apart in the trash; one with other content than the result's is not taken there."""
    for number, data in ((1, b"{}"), (2, b"[]")):
        (root / RESULT).write_bytes(data)
        trash.throw_away(root, number, RESULT, hashlib.sha256(data).hexdigest())
        assert not (root / RESULT).exists()
    (root / RESULT).write_bytes(b"[1]")
    trash.throw_away(root, 2, RESULT, hashlib.sha256(b"[]").hexdigest())
    assert (root / RESULT).read_bytes() == b"[1]"
    found = [(trash.folder_of(root, number, RESULT) / RESULT).read_bytes() for number in (1, 2)]
    assert found == [b"{}", b"[]"]


def test_trash_of_before(root: Path) -> None:
    """What labs of before have thrown away is found, until the result has a place of its own."""
    old = root / trash.FOLDER / RESULT
    old.parent.mkdir(parents=True)
    old.write_bytes(b"{}")
    assert trash.folder_of(root, 1, RESULT) == root / trash.FOLDER


def test_names_of_results_without_values() -> None:
    """They are not named as pyperf files, which bench_runner takes all `.json` for; the kind is in the name."""
    path = path_without_values(PurePosixPath("bm-a/bm-3.15.0-abc.json"), "profile")
    assert str(path) == "bm-a/bm-3.15.0-abc.profile"
    assert valueless_kind(str(path)) == "profile"
    assert valueless_kind("bm-a/bm-3.15.0-abc.json") is None
