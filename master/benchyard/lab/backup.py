"""A lab in one file: its database, settings, hosts, secrets and results; and a lab made of that file again.

What can be made anew is left out: interpreters, wheels, the history of repositories, the state of hosts. The database
is copied first and while the lab runs: results are written before they are indexed, so that every file which the copy
of the index names is among the files copied later.
"""

import gzip
import os
import shutil
import sqlite3
import subprocess
import tarfile
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import msgspec
import sqlalchemy as sa

from benchyard.config.settings import PLAYBOOKS_DIR, SETTINGS_FILE, Settings, SettingsError, load_settings
from benchyard.hosting.registration import HOSTS_DIR, SECRETS_DIR
from benchyard.lab.errors import LabError
from benchyard.lab.paths import LabPaths
from benchyard.results.trash import FOLDER as TRASH

FORMAT = 1
MANIFEST, SQLITE, DUMP, RESULTS = "manifest.json", "database.sqlite", "database.dump", "results"

#: Copied as they are, below the lab's folder.
PARTS = (
    SETTINGS_FILE,
    HOSTS_DIR,
    SECRETS_DIR,
    PLAYBOOKS_DIR,
    "trust",
    "incoming",
    "master/master.cfg",
    "master/buildbot.tac",
)

_DUMP_S = 3600.0


class Manifest(msgspec.Struct, frozen=True):
    """What a backup says of itself; `made` is in seconds since 1970."""

    format: int
    made: float
    database: str


def back_up(root: Path, archive: Path, *, now: float | None = None) -> None:
    """Write the lab in `root` into the file `archive`, which must not exist; whole or not at all.

    Only its owner may read it: the lab's secrets are in it. The lab may run meanwhile.
    """
    paths, settings = LabPaths(root.absolute()), _settings(root.absolute())
    archive = archive.absolute()
    if archive.exists():
        raise LabError(f"{archive} exists already; name another file")
    url = sa.make_url(settings.lab.db_url)
    partial = archive.with_name(f".{archive.name}.part-{os.getpid()}")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".backup-", dir=archive.parent) as scratch:
            database = _copy_database(url, paths, Path(scratch))
            made = Manifest(FORMAT, time.time() if now is None else now, url.get_backend_name())
            (Path(scratch) / MANIFEST).write_bytes(msgspec.json.encode(made))
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                with tarfile.open(fileobj=file, mode="w:gz", compresslevel=3, dereference=True) as tar:
                    tar.add(Path(scratch) / MANIFEST, MANIFEST)
                    tar.add(database, database.name)
                    _add_parts(tar, paths, settings)
                file.flush()
                os.fsync(file.fileno())
        partial.rename(archive)
    except OSError as exc:
        why = exc.strerror or exc
        raise LabError(f"the lab in {root} cannot be backed up: {exc.filename or archive}: {why}") from exc
    finally:
        partial.unlink(missing_ok=True)


def _add_parts(tar: tarfile.TarFile, paths: LabPaths, settings: Settings) -> None:
    workers = paths.workers.glob("*/*")
    kept = [str(path.relative_to(paths.root)) for path in sorted(workers) if path.suffix in (".toml", ".tac")]
    names = (*PARTS, *kept, *_named(settings))
    for name in dict.fromkeys(names):
        if not any(name != other and PurePosixPath(name).is_relative_to(other) for other in names):
            _add(tar, paths.root / name, name)
    _add(tar, settings.results_dir, RESULTS)


def _named(settings: Settings) -> list[str]:
    """What the settings name of the lab's own folder, wherever it is there."""
    lab, found = settings.lab, []
    for name in (lab.worker_certificate, lab.worker_key, lab.ansible):
        path = PurePosixPath(name)
        if path.parts and not path.is_absolute() and ".." not in path.parts:
            found.append(str(path))
    return found


def _add(tar: tarfile.TarFile, place: Path, name: str) -> None:
    """Add a file, or all of a folder but what is in the trash; links are what they lead to."""
    for path in (place, *_below(place, frozenset())):
        below = path.relative_to(place)
        if TRASH not in below.parts:
            with suppress(FileNotFoundError):  # it is not there, or is being removed just now
                tar.add(path, str(PurePosixPath(name) / below), recursive=False)


def _below(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """All that is in a folder, and in what links in it lead to; LabError where that is the folder, or nothing."""
    if not folder.is_dir():
        return
    real = folder.resolve()
    if real in above:
        raise LabError(f"{folder} is a link to a folder that it is in; take it away")
    for path in sorted(folder.iterdir()):
        if path.is_symlink() and not path.exists():
            raise LabError(f"{path} is a link that leads nowhere; take it away, or bring back what it led to")
        yield path
        yield from _below(path, above | {real})


def _copy_database(url: sa.URL, paths: LabPaths, scratch: Path) -> Path:
    if url.get_backend_name() == "sqlite":
        copy = scratch / SQLITE
        source = paths.master / (url.database or "")
        if not source.is_file():
            raise LabError(f"there is no database {source}")
        try:
            with closing(sqlite3.connect(source, timeout=60)) as here, closing(sqlite3.connect(copy)) as there:
                here.backup(there)
                (word,) = there.execute("PRAGMA integrity_check").fetchone()
        except sqlite3.Error as exc:
            raise LabError(f"the database {source} cannot be read: {exc}") from exc
        if word != "ok":
            raise LabError(f"the database {source} is damaged: {str(word).splitlines()[0]}")
        return copy
    copy = scratch / DUMP
    _postgresql(url, "pg_dump", "--format=custom", f"--file={copy}")
    return copy


def restore(archive: Path, root: Path) -> Manifest:
    """Make the lab of a backup in the folder `root`, which must be empty or not exist; LabError says why it cannot.

    In PostgreSQL its database must be empty. The lab is as it was when the backup began; runs of hosts find it again.
    """
    root = root.absolute()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise LabError(f"{root} is not an empty folder; move it away, or name another")
    partial = root.with_name(f".{root.name}.part-{os.getpid()}")
    try:
        partial.mkdir(parents=True, mode=0o750)
        manifest = _unpack(archive, partial)
        _place(partial, root, manifest)
        if root.exists():
            root.rmdir()
        partial.rename(root)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, msgspec.DecodeError) as exc:
        raise LabError(f"{archive} is no whole backup of a lab: {exc}") from exc
    except OSError as exc:
        raise LabError(f"{archive} cannot be restored: {exc.filename or root}: {exc.strerror or exc}") from exc
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def _unpack(archive: Path, folder: Path) -> Manifest:
    with gzip.open(archive) as whole:
        with tarfile.open(fileobj=whole, mode="r:") as tar:
            for member in tar:
                _unpack_member(archive, tar, member, folder)
        while whole.read(1 << 20):  # up to its checksum, which is read at the end
            pass
    found = folder / MANIFEST
    if not found.is_file():
        raise LabError(f"{archive} is no backup of a lab: there is no {MANIFEST} in it")
    manifest = msgspec.json.decode(found.read_bytes(), type=Manifest)
    if manifest.format != FORMAT:
        raise LabError(f"{archive} is of format {manifest.format}, and this benchyard reads {FORMAT}; update it")
    found.unlink()
    return manifest


def _unpack_member(archive: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise LabError(f"{archive}: {member.name!r} has no place in a backup")
    target = folder / path
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True, mode=member.mode & 0o777 | 0o700)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, member.mode & 0o777)
    content = tar.extractfile(member) or BytesIO()
    with content, os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(content, file)
    os.utime(target, (member.mtime, member.mtime))


def _place(folder: Path, root: Path, manifest: Manifest) -> None:
    """Put the database and the results where the settings have them."""
    try:
        settings = load_settings(folder)
    except SettingsError as exc:
        raise LabError(f"the settings of the backup: {str(exc).removeprefix(f'{folder}/')}") from exc
    url = sa.make_url(settings.lab.db_url)
    if url.get_backend_name() != manifest.database:
        raise LabError(f"the backup is of {manifest.database}, but its settings name {url.get_backend_name()}")
    place = folder / "master" / (url.database or "")
    if url.get_backend_name() == "sqlite":
        _refuse_existing(place)
    for name in ("run", "incoming", RESULTS):
        (folder / name).mkdir(exist_ok=True)
    if settings.lab.results != RESULTS:
        results = settings.results_dir
        if results.exists() and any(results.iterdir()):
            raise LabError(f"{results} is not empty; move it away first")
        results.parent.mkdir(parents=True, exist_ok=True)
        if results.exists():
            results.rmdir()
        shutil.move(folder / RESULTS, results)
    if url.get_backend_name() == "sqlite":
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / SQLITE, place)
        return
    _postgresql(url, "pg_restore", "--exit-on-error", "--no-owner", "--single-transaction", str(folder / DUMP))
    (folder / DUMP).unlink()


def _refuse_existing(database: Path) -> None:
    """Refuse to put an SQLite database where one is, or what SQLite would take for changes of the new one."""
    for end in ("", "-wal", "-shm", "-journal"):
        there = database.with_name(database.name + end)
        if os.path.lexists(there):
            raise LabError(f"{there} exists; move it away first")


def _postgresql(url: sa.URL, program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL's client on the database; a password never stands on its command line."""
    plain = url.set(drivername="postgresql", password=None).render_as_string()
    environ = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    command = [program, "--no-password", f"--dbname={plain}", *arguments]
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, errors="replace", timeout=_DUMP_S,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except FileNotFoundError as exc:
        raise LabError(f"there is no {program} here; install PostgreSQL's client (postgresql-client)") from exc
    except subprocess.TimeoutExpired as exc:
        raise LabError(f"{program} did not end within {_DUMP_S:.0f} s") from exc
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise LabError(f"{program} failed: {said[-1] if said else 'it does not say why'}")


def _settings(root: Path) -> Settings:
    try:
        return load_settings(root)
    except SettingsError as exc:
        raise LabError(str(exc)) from exc
