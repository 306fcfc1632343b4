"""Archives, and the directories that a machine keeps of them."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchyard.tasks.archive import pack, unpack
from benchyard.tasks.errors import ArchiveError
from benchyard.tasks.trees import TreeStore, tree_size

ONE, TWO, THREE = (digit * 64 for digit in "123")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small installed tree."""
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin" / "python3.11").write_bytes(b"x" * 1000)
    (tree / "bin" / "python3.11").chmod(0o755)
    (tree / "bin" / "python3").symlink_to("python3.11")
    (tree / "lib").mkdir()
    (tree / "lib" / "libpython.a").write_bytes(b"y" * 1000)
    os.utime(tree / "bin" / "python3.11", (1e9, 1e9))
    return tree


def test_there_and_back(tree: Path, tmp_path: Path) -> None:
    """What was packed comes out as it was: modes, links and times, without what was to be left out."""
    packed = pack(tree, tmp_path / "a.tar.gz", leave_out=lambda name: name.endswith(".a"))
    assert packed.size == (tmp_path / "a.tar.gz").stat().st_size
    unpack(tmp_path / "a.tar.gz", tmp_path / "again", sha256=packed.sha256)
    program = tmp_path / "again" / "bin" / "python3"
    assert program.is_symlink()
    assert program.read_bytes() == b"x" * 1000
    assert program.stat().st_mode & 0o777 == 0o755
    assert program.stat().st_mtime == 1e9
    assert not (tmp_path / "again" / "lib" / "libpython.a").exists()


def test_damaged_archive(tree: Path, tmp_path: Path) -> None:
    """One changed byte, or a missing end, and nothing is unpacked."""
    archive = tmp_path / "a.tar.gz"
    packed = pack(tree, archive)
    whole = archive.read_bytes()
    for broken in (whole[:-10], whole[:50] + b"?" + whole[51:], b""):
        archive.write_bytes(broken)
        with pytest.raises(ArchiveError, match="is damaged"):
            unpack(archive, tmp_path / "again", sha256=packed.sha256)
    assert not (tmp_path / "again").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("name", "link", "kind"),
    [
        ("../x", "", tarfile.REGTYPE),
        ("/etc/x", "", tarfile.REGTYPE),
        ("a/../../x", "", tarfile.REGTYPE),
        ("x", "/etc/passwd", tarfile.SYMTYPE),
        ("a/x", "../../y", tarfile.SYMTYPE),
        ("x", "../y", tarfile.LNKTYPE),
        ("x", "", tarfile.CHRTYPE),
        ("x", "", tarfile.FIFOTYPE),
    ],
)
def test_archive_that_leads_out(tmp_path: Path, name: str, link: str, kind: bytes) -> None:
    """Members that would be written elsewhere, or are no files, are refused."""
    archive = tmp_path / "bad.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, link, 1 if kind == tarfile.REGTYPE else 0
        tar.addfile(member, io.BytesIO(b"x"))
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    with pytest.raises(ArchiveError, match="leads out of it"):
        unpack(archive, tmp_path / "again", sha256=sha256)
    assert not (tmp_path / "again").exists()


def test_no_room(tree: Path, tmp_path: Path) -> None:
    """A full disk while packing, and while unpacking, is one line; nothing half is left."""
    archive = tmp_path / "a.tar.gz"
    (tree / "big").write_bytes(os.urandom(3_000_000))
    packed = pack(tree, archive)
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode != 0:
        pytest.xfail(f"no small file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(ArchiveError, match="No space left on device"):
            pack(tree, small / "a.tar.gz")
        with pytest.raises(ArchiveError, match="No space left on device"):
            unpack(archive, small / "tree", sha256=packed.sha256)
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_made_once(tree: Path, tmp_path: Path) -> None:
    """Many who add the same at once: it is there, once and whole."""
    packed = pack(tree, tmp_path / "a.tar.gz")
    store = TreeStore(tmp_path / "store")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: store.add(ONE, tmp_path / "a.tar.gz", sha256=packed.sha256), range(4)))
    assert store.has(ONE)
    assert sorted(path.name for path in store.root.iterdir()) == [ONE, f"{ONE}.lock"]


def test_least_recently_used_goes(tree: Path, tmp_path: Path) -> None:
    """Over the limit, the one that was used least recently is dropped; never what is used just now."""
    packed = pack(tree, tmp_path / "a.tar.gz")
    store = TreeStore(tmp_path / "store", limit=2 * tree_size(tree) + 100)
    for number, id in enumerate((ONE, TWO)):
        store.add(id, tmp_path / "a.tar.gz", sha256=packed.sha256)
        os.utime(store.root / f"{id}.lock", (1000.0 + number, 1000.0 + number))
    with store.use(ONE):
        os.utime(store.root / f"{ONE}.lock", (1.0, 1.0))
        store.add(THREE, tmp_path / "a.tar.gz", sha256=packed.sha256)
    assert (store.has(ONE), store.has(TWO), store.has(THREE)) == (True, False, True)
    store.add(TWO, tmp_path / "a.tar.gz", sha256=packed.sha256)
    assert (store.has(ONE), store.has(TWO), store.has(THREE)) == (False, True, True)


@pytest.mark.parametrize("id", ["", "..", "../" + ONE[3:], ONE.upper().replace("1", "A"), ONE + "0", "x" * 64])
def test_bad_ids(tmp_path: Path, id: str) -> None:
    """Nothing but a SHA-256 becomes a path."""
    with pytest.raises(ArchiveError):
        TreeStore(tmp_path).tree(id)


def test_use_of_nothing(tmp_path: Path) -> None:
    """What is not there cannot be used."""
    with pytest.raises(ArchiveError, match="make or fetch it first"), TreeStore(tmp_path).use(ONE):
        pass


def test_halves_of_the_killed_go(tree: Path, tmp_path: Path) -> None:
    """Whoever is killed while unpacking or dropping leaves half a directory; the next who makes one removes it."""
    archive, root = tmp_path / "a.tar.gz", tmp_path / "store"
    packed = pack(tree, archive)
    program = (
        "import os, sys; from pathlib import Path; from benchyard.tasks.trees import TreeStore;"
        "TreeStore(Path(sys.argv[1])).add(sys.argv[2], Path(sys.argv[3]), sha256=sys.argv[4],"
        " check=lambda tree: os.kill(os.getpid(), 9))"
    )
    for id in (ONE, ONE, TWO):
        argv = [sys.executable, "-c", program, str(root), id, str(archive), packed.sha256]
        assert subprocess.run(argv, timeout=60).returncode == -signal.SIGKILL
    (root / f".{THREE}.4194305.dropped" / "bin").mkdir(parents=True)
    (root / f".{THREE}.part").mkdir()
    (root / ".4194305.making.x").mkdir()
    store = TreeStore(root)
    with store.making(THREE):
        own = root / f".{THREE}.{os.getpid()}.part"
        own.mkdir()
        (root / f"{store.making_prefix()}x").mkdir()
        store.add(ONE, archive, sha256=packed.sha256)
        halves = sorted(path.name for path in root.iterdir() if path.name[0] == ".")
        assert halves == sorted([own.name, f"{store.making_prefix()}x"]), "what is being made now stays"
    store.drop_old()
    assert not own.exists()
    assert store.has(ONE)
    assert not store.has(TWO)
