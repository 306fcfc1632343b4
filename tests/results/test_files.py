"""Keeping result files."""

import gzip
import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from benchyard.results.errors import ResultError, StorageError
from benchyard.results.files import StoredFile, read_file, store_file

_NAME = PurePosixPath("bm-1-2-3", "bm-1-host.json")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """An empty results directory."""
    root = tmp_path / "results"
    root.mkdir()
    yield root
    assert not list(root.rglob("*.partial"))


def test_stored_file(root: Path) -> None:
    """The bytes are there, packed and read-only, and described; the same bytes are packed alike at any time."""
    stored = store_file(root, _NAME, b"{}")
    assert stored == StoredFile(path=f"{_NAME}.gz", sha256=hashlib.sha256(b"{}").hexdigest(), size=2)
    assert read_file(root / stored.path) == b"{}"
    packed = (root / stored.path).read_bytes()
    assert gzip.decompress(packed) == b"{}"
    assert packed[4:8] == bytes(4)  # the time in the header
    assert stat.S_IMODE((root / stored.path).stat().st_mode) == 0o444


def test_same_bytes_again(root: Path) -> None:
    """The same bytes again are the same file, untouched."""
    first = store_file(root, _NAME, b"{}")
    before = (root / first.path).stat()
    assert store_file(root, _NAME, b"{}") == first
    after = (root / first.path).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_reruns(root: Path) -> None:
    """Other bytes of the same name go to a numbered directory, each to its own, and the first file stays; what was not
    there before is told.
    """
    made: list[str] = []
    paths = [store_file(root, _NAME, data, made=made.append).path for data in (b"1", b"2", b"3", b"2", b"1")]
    assert made == paths[:3]
    assert paths == [
        "bm-1-2-3/bm-1-host.json.gz",
        "rerun-2/bm-1-2-3/bm-1-host.json.gz",
        "rerun-3/bm-1-2-3/bm-1-host.json.gz",
        "rerun-2/bm-1-2-3/bm-1-host.json.gz",
        "bm-1-2-3/bm-1-host.json.gz",
    ]
    assert [read_file(root / path) for path in paths] == [b"1", b"2", b"3", b"2", b"1"]


def test_files_of_before(root: Path) -> None:
    """A file that was kept as it is stays so: the same bytes are that file, others go beside it."""
    (root / _NAME).parent.mkdir()
    (root / _NAME).write_bytes(b"1")
    assert [store_file(root, _NAME, data).path for data in (b"1", b"2", b"1", b"2")] == [
        str(_NAME),
        f"rerun-2/{_NAME}.gz",
    ] * 2
    assert read_file(root / _NAME) == b"1"


def test_files_without_values(root: Path) -> None:
    """What is no pyperf file is kept as it is."""
    stored = store_file(root, PurePosixPath("a/b.profile"), b"{}")
    assert (stored.path, (root / stored.path).read_bytes()) == ("a/b.profile", b"{}")


def test_damaged_file(root: Path) -> None:
    """A kept file that lost its end is told, not read, and nothing is filed in its place."""
    kept = root / store_file(root, _NAME, b"1" * 1000).path
    whole = kept.read_bytes()
    kept.chmod(0o644)
    kept.write_bytes(whole[:-6])
    with pytest.raises(ResultError, match="cut short: gzip cannot unpack all of it$"):
        read_file(kept)
    with pytest.raises(StorageError, match=r"^the result file .*bm-1-host.json.gz is damaged: move it away$"):
        store_file(root, _NAME, b"1" * 1000)
    kept.write_bytes(b"\x1f\x8bnot gzip")
    with pytest.raises(ResultError, match="damaged: gzip cannot unpack it$"):
        read_file(kept)


@pytest.mark.parametrize("path", ["/etc/passwd", "../a.json", "a/../../b.json", ""])
def test_paths_stay_inside(root: Path, path: str) -> None:
    """A path that leads out of the results directory is refused before anything is made."""
    with pytest.raises(ResultError, match="must stay in the results directory"):
        store_file(root, PurePosixPath(path), b"{}")
    assert not list(root.iterdir())


def test_links_lead_nowhere(root: Path, tmp_path: Path) -> None:
    """A link in the results directory does not lead out of it either."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "bm-1-2-3").symlink_to(outside)
    with pytest.raises(ResultError, match="leads out of the results directory"):
        store_file(root, _NAME, b"{}")
    assert not list(outside.iterdir())


def test_no_directory(tmp_path: Path) -> None:
    """A results directory that is not there (a disk not mounted) is not made up."""
    with pytest.raises(StorageError, match=r"results directory .*missing does not exist$"):
        store_file(tmp_path / "missing", _NAME, b"{}")


def test_name_taken_by_a_directory(root: Path) -> None:
    """What the disk refuses is one line with the file's name."""
    (root / f"{_NAME}.gz").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"^cannot write the result file .*bm-1-host\.json\.gz: Is a directory$"):
        store_file(root, _NAME, b"{}")


def test_full_disk(root: Path) -> None:
    """A file that cannot be written whole leaves nothing behind."""
    code = (
        "import os, resource, signal, sys; from pathlib import *; "
        "from benchyard.results.files import store_file; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); "
        "store_file(Path(sys.argv[1]), PurePosixPath('a/b.json'), os.urandom(5000))"
    )
    run = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, timeout=60)
    assert "StorageError: cannot write the result file" in run.stderr
    assert "File too large" in run.stderr
    assert not list((root / "a").iterdir())


def test_writers_at_once(root: Path) -> None:
    """Processes that store different bytes under one name at once each get a file of their own, whole."""
    code = (
        "import sys; from pathlib import *; from benchyard.results.files import store_file; "
        "sys.stdin.read(); "
        "print(store_file(Path(sys.argv[1]), PurePosixPath('a/b.json'), sys.argv[2].encode() * 100_000).path)"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", code, os.fspath(root), letter],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for letter in "abcd"
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    paths = []
    for writer in writers:
        assert writer.wait(60) == 0
        assert writer.stdout is not None
        paths.append(writer.stdout.read().strip())
        writer.stdout.close()
    assert sorted(paths) == ["a/b.json.gz", *(f"rerun-{number}/a/b.json.gz" for number in (2, 3, 4))]
    assert {read_file(root / path) for path in paths} == {letter * 100_000 for letter in (b"a", b"b", b"c", b"d")}
