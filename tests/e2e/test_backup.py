"""A lab in one file, and a lab made of that file again, on both databases."""

import gzip
import json
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import LabHandle

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def values(real_results: Path, tmp_path: Path) -> Path:
    """A result file that a host has really left."""
    smallest = min(real_results.rglob("*.json.gz"), key=lambda path: path.stat().st_size)
    file = tmp_path / "real.json"
    file.write_bytes(gzip.decompress(smallest.read_bytes()))
    return file


def filled(lab: "LabHandle", values: Path) -> str:
    """A result of the lab, which it shows as this."""
    lab.check("host", "add", "old-1", "--role", "isolated", "--target", target(lab), "--address", "198.51.100.9")
    lab.check("result", "add", str(values), "--host", "old-1")
    return lab.check("result", "list", "--json")


def target(lab: "LabHandle") -> str:
    found = re.search(r"\[targets\.(\S+)\]", (lab.root / "benchyard.toml").read_text())
    assert found is not None
    return found[1]


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_lab_is_backed_up_while_it_runs_and_restored(
    make_lab: "Callable[..., LabHandle]", new_database: Callable[[], str], values: Path, tmp_path: Path, database: str
) -> None:
    """The restored lab has the same results, files, hosts, secrets and users, and runs."""
    options = ["--db-url", new_database()] if database == "postgresql" else []
    lab = make_lab("--no-isolated", *options)
    shown = filled(lab, values)
    archive = tmp_path / "backups" / "lab.tar.gz"
    lab.check("lab", "backup", str(lab.root), str(archive))
    assert archive.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in archive.parent.iterdir()] == ["lab.tar.gz"]
    lab.check("host", "add", "later-1", "--role", "worker", "--target", target(lab), "--address", "198.51.100.10")
    lab.down()
    shutil.move(lab.root, tmp_path / "lost")
    if options:
        # The database that is restored into must be empty.
        other = repack_with_database(archive, tmp_path, options[1], new_database())
        archive = other
    lab.check("lab", "restore", str(archive), str(lab.root))
    lab.up()
    state = lab.cli("lab", "status", str(lab.root))
    assert (state.returncode, "not healthy: not connected: old-1" in state.stdout) == (1, True), state.stdout
    assert lab.check("result", "list", "--json") == shown
    hosts = {host["name"] for host in json.loads(lab.check("host", "list", "--json"))["items"]}
    assert "old-1" in hosts and "later-1" not in hosts
    result = json.loads(shown)["items"][0]["id"]
    read = tmp_path / "read.json"
    lab.check("result", "read", str(result), "-o", str(read))
    assert json.loads(read.read_bytes()) == json.loads(values.read_bytes())
    for path in (lab.root / "secrets").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path


def repack_with_database(archive: Path, folder: Path, old: str, new: str) -> Path:
    """The same backup, whose settings name another database."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "unpacked", filter="fully_trusted")  # noqa: S202 (made by this test)
    settings = folder / "unpacked" / "benchyard.toml"
    settings.write_text(settings.read_text().replace(old, new))
    with tarfile.open(folder / "other.tar.gz", "w:gz") as tar:
        for path in sorted((folder / "unpacked").iterdir()):
            tar.add(path, path.name)
    return folder / "other.tar.gz"


def test_what_cannot_be_backed_up_or_restored_is_one_line(make_lab: "Callable[..., LabHandle]", tmp_path: Path) -> None:
    """A file that is there, no backup or half of one, a folder that is not empty: nothing is touched."""
    lab = make_lab("--no-isolated", up=False)
    archive = tmp_path / "lab.tar.gz"
    lab.check("lab", "backup", str(lab.root), str(archive))
    half = tmp_path / "half.tar.gz"
    half.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    damaged = tmp_path / "damaged.tar.gz"
    changed = bytearray(archive.read_bytes())
    changed[-8] ^= 0xFF  # of its checksum, which counts as much as what it is of
    damaged.write_bytes(changed)
    stranger = tmp_path / "stranger.tar.gz"
    with tarfile.open(stranger, "w:gz") as tar:
        tar.add(half, "../half")
    for command, word in (
        (("backup", str(lab.root), str(archive)), "exists already"),
        (("backup", str(tmp_path / "none"), str(tmp_path / "new.tar.gz")), "make a lab"),
        (("restore", str(archive), str(lab.root)), "not an empty folder"),
        (("restore", str(half), str(tmp_path / "a")), "no whole backup"),
        (("restore", str(damaged), str(tmp_path / "a")), "no whole backup"),
        (("restore", str(stranger), str(tmp_path / "b")), "no place in a backup"),
    ):
        done = lab.cli("lab", *command)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert word in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("damaged.tar.gz", "half.tar.gz", "lab.tar.gz", "stranger.tar.gz")
    ]


def test_what_settings_name_elsewhere_is_in_it(make_lab: "Callable[..., LabHandle]", tmp_path: Path) -> None:
    """A certificate that is a link to where another tool renews it, its key, and the lab's own playbooks."""
    lab = make_lab("--no-isolated", up=False)
    renewed = tmp_path / "renewed.crt"
    renewed.write_text("a certificate")
    (lab.root / "tls").mkdir()
    (lab.root / "tls" / "w.crt").symlink_to(renewed)
    (lab.root / "secrets" / "w.key").write_text("its key")
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "tune.yml").write_text("[]")
    (lab.root / "own").mkdir()
    (lab.root / "own" / "roles").symlink_to(shared)
    settings = lab.root / "benchyard.toml"
    named = '[lab]\nworker_certificate = "tls/w.crt"\nworker_key = "secrets/w.key"\nansible = "own"\n'
    settings.write_text(settings.read_text().replace("[lab]\n", named, 1))
    with closing(sqlite3.connect(lab.root / "master" / "state.sqlite")) as made:
        made.execute("create table known (id integer)")
    archive, again = tmp_path / "lab.tar.gz", tmp_path / "again"
    (shared / "again").symlink_to(lab.root / "own")
    (shared / "nowhere").symlink_to("none")
    for link, why in (("again", "is a link to a folder that it is in"), ("nowhere", "is a link that leads nowhere")):
        done = lab.cli("lab", "backup", str(lab.root), str(archive))
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert why in done.stderr
        (shared / link).unlink()
    lab.check("lab", "backup", str(lab.root), str(archive))
    renewed.unlink()
    lab.check("lab", "restore", str(archive), str(again))
    assert (again / "tls" / "w.crt").read_text() == "a certificate"
    assert (again / "secrets" / "w.key").read_text() == "its key"
    assert (again / "own" / "roles" / "tune.yml").read_text() == "[]"
    (again / "master" / "state.sqlite").write_bytes(b"no database at all, whatever its name says" * 100)
    done = lab.cli("lab", "backup", str(again), str(tmp_path / "new.tar.gz"))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "state.sqlite cannot be read: file is not a database" in done.stderr


def test_no_database_is_overwritten(make_lab: "Callable[..., LabHandle]", tmp_path: Path) -> None:
    """A database that the settings have elsewhere goes there, also on another disk, where there is none."""
    lab = make_lab("--no-isolated", up=False)
    settings, results, archive = lab.root / "benchyard.toml", tmp_path / "results", tmp_path / "lab.tar.gz"
    (lab.root / "results").rename(results)
    with TemporaryDirectory(dir="/dev/shm") as disk:  # mostly another file system
        database = Path(disk) / "state.sqlite"
        shutil.copy(lab.root / "master" / "state.sqlite", database)
        named = f'[lab]\ndb_url = "sqlite:///{database}"\nresults = "{results}"\n'
        settings.write_text(settings.read_text().replace("[lab]\n", named, 1))
        lab.check("lab", "backup", str(lab.root), str(archive))
        before = database.read_bytes()
        for end in ("", "-wal", "-shm", "-journal"):
            there = Path(f"{database}{end}")
            there.write_bytes(before)
            done = lab.cli("lab", "restore", str(archive), str(tmp_path / "again"))
            assert (done.returncode, done.stderr) == (1, f"benchyard: {there} exists; move it away first\n")
            assert there.read_bytes() == before
            there.unlink()
        assert not (tmp_path / "again").exists()
        lab.check("lab", "restore", str(archive), str(tmp_path / "again"))
        with closing(sqlite3.connect(database)) as restored:
            assert restored.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert restored.execute("select name from benchyard_users").fetchall() == [("admin",)]


def test_settings_are_looked_at_before_they_are_used(make_lab: "Callable[..., LabHandle]", tmp_path: Path) -> None:
    """`lab check --settings` refuses a file that the lab could not start with, and leaves the lab's own alone."""
    lab = make_lab("--no-isolated", up=False)
    own = (lab.root / "benchyard.toml").read_text()
    new = tmp_path / "new.toml"
    new.write_text(own)
    lab.check("lab", "check", str(lab.root), "--settings", str(new))
    new.write_text(own.replace("[lab]\n", '[lab]\nworker_certificate = "secrets/none.crt"\nworker_key = "k"\n'))
    done = lab.cli("lab", "check", str(lab.root), "--settings", str(new))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "secrets/none.crt" in done.stderr
    assert (lab.root / "benchyard.toml").read_text() == own
