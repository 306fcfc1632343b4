"""Making a suite: the benchmarks of pyperformance at a release or a commit, and those of further manifests beside them.

A suite is a directory with all its files, known by their hash, so that a measuring host needs nothing but that.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchyard.tasks.archive import pack
from benchyard.tasks.environment import clean_environ
from benchyard.tasks.errors import SuiteError
from benchyard.tasks.files import write_atomically
from benchyard.tasks.git import git
from benchyard.tasks.history import History
from benchyard.tasks.mirror import update_mirror
from benchyard.tasks.suite import MANIFEST, RECORD, SuiteRecord, open_suite, read_suite_record
from benchyard.tasks.sums import keep_sum, kept_sum
from benchyard.tasks.trees import TreeStore

_PACKAGE = "pyperformance"
_BENCHMARKS = "data-files/benchmarks"
_VERSION = re.compile(r"^VERSION = \(([0-9]+), ([0-9]+), ([0-9]+)\)$", re.MULTILINE)
_RELEASE = re.compile(r"[0-9]+(\.[0-9]+){1,3}([abc.]|rc|dev|post)?[0-9]*", re.ASCII)
_DOWNLOAD_S = 600.0

#: Bytes of the benchmarks of one manifest at most: a wrong path must not copy a whole disk.
LARGEST = 1024**3


class _Part(NamedTuple):
    """The unpacked package, and the commit it is from."""

    package: Path
    commit: str | None = None


class MadeSuite(msgspec.Struct, frozen=True):
    """What a name of the lab's settings has come to: the suite's id, while what it was made of is the same."""

    made_of: str
    id: str


def read_made(folder: Path, name: str) -> MadeSuite | None:
    """Return what a name has come to in a lab that keeps its suites in `folder`; None where it was not made yet."""
    try:
        return msgspec.json.decode(_made_path(folder, name).read_bytes(), type=MadeSuite)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_made(folder: Path, name: str, made: MadeSuite) -> None:
    """Note what a name has come to."""
    write_atomically(_made_path(folder, name), msgspec.json.encode(made))


def make_suite(
    store: TreeStore,
    *,
    work: Path,
    version: str | None = None,
    repository: str | None = None,
    ref: str | None = None,
    manifests: Sequence[Path] = (),
    say: Callable[[str], None] = lambda line: None,
) -> SuiteRecord:
    """Put a suite into `store` and return what it is.

    Its pyperformance is the release `version` of the package index, what `ref` names in the git `repository` (kept in
    `work` for the next time), or the installed one. `manifests` are files whose benchmarks come with all that is in
    their directories. Raises SuiteError, RecipeError or SourceError.
    """
    if version is not None and repository is not None:
        raise SuiteError("a suite is of a version, or of a ref in a repository; not of both")
    if (repository is None) != (ref is None):
        raise SuiteError("a repository and a ref of it go together")
    if version is not None and not _RELEASE.fullmatch(version):
        raise SuiteError(f"{version[:60]!r} is no version of pyperformance, such as 1.14.0")
    store.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store.root, prefix=store.making_prefix()) as folder:
        part = _package(Path(folder), work, version, repository, ref, say)
        tree = Path(folder) / "tree"
        tree.mkdir()
        record = _compose(tree, part, repository, manifests)
        with store.making(record.id) as missing:
            if missing:
                write_atomically(tree / RECORD, msgspec.json.format(msgspec.json.encode(record), indent=1))
                tree.rename(store.tree(record.id))
        return read_suite_record(store.tree(record.id))


def _package(
    folder: Path, work: Path, version: str | None, repository: str | None, ref: str | None, say: Callable[[str], None]
) -> _Part:
    if version is not None:
        say(f"benchyard: fetching {_PACKAGE} {version}")
        return _Part(_from_index(folder, version))
    if repository is not None and ref is not None:
        say(f"benchyard: fetching {ref} of {repository}")
        return _from_git(folder, work, repository, ref)
    import pyperformance

    return _Part(Path(pyperformance.__file__).parent)


def _from_index(folder: Path, version: str) -> Path:
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    argv += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), f"{_PACKAGE}=={version}"]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=clean_environ(os.environ),
            timeout=_DOWNLOAD_S,
        )
    except subprocess.TimeoutExpired as exc:
        raise SuiteError(f"{_PACKAGE} {version} was not fetched within {_DOWNLOAD_S:g} s") from exc
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise SuiteError(f"{_PACKAGE} {version} cannot be had: {(said or ['pip said nothing'])[-1][:300]}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(folder / "wheel")  # noqa: S202  (zipfile keeps to the directory)
    return folder / "wheel" / _PACKAGE


def _from_git(folder: Path, work: Path, repository: str, ref: str) -> _Part:
    commit = History(work / "history.git").resolve("suite", repository, ref).commit
    update_mirror(work / "mirror.git", repository, commit)
    archive = folder / "source.tar"
    wanted = (f"{_PACKAGE}/__init__.py", f"{_PACKAGE}/{_BENCHMARKS}")
    git(["archive", "--format=tar", f"--output={archive}", commit, *wanted], repository=work / "mirror.git")
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "source", filter="data")
    return _Part(folder / "source" / _PACKAGE, commit)


def _compose(tree: Path, part: _Part, repository: str | None, manifests: Sequence[Path]) -> SuiteRecord:
    """Lay out a suite's files, check that its manifest can be read, and say what it is."""
    version = _version_of(part.package)
    _copy(part.package / _BENCHMARKS / MANIFEST, tree / _PACKAGE)
    for number, manifest in enumerate(manifests, 1):
        copied = _copy(manifest, tree / f"manifest-{number}")
        # The default benchmarks are this suite's own pyperformance's, not those installed where it is read.
        lines = [line for line in copied.read_text("utf-8").splitlines() if line.strip() != "<default>"]
        copied.write_text("\n".join(lines) + "\n", "utf-8")
    folders = [_PACKAGE, *(f"manifest-{number}" for number in range(1, len(manifests) + 1))]
    (tree / MANIFEST).write_text("[includes]\n" + "".join(f"{name}/{MANIFEST}\n" for name in folders), "utf-8")
    id = _content_id(tree, version, part.commit)
    local = [f"g{part.commit[:8]}"] if part.commit else []
    local += [f"m{id[:8]}"] if manifests else []
    label = "+".join([version, *([".".join(local)] if local else [])])
    record = SuiteRecord(
        id=id, label=label, version=version, commit=part.commit, repository=repository, manifests=len(manifests)
    )
    (tree / RECORD).write_bytes(msgspec.json.encode(record))
    _check(tree)
    return record


def pack_suite(store: TreeStore, id: str, archive: Path) -> None:
    """Pack a kept suite for the hosts that measure, unless its archive is there; it counts as used now."""
    if kept_sum(archive) is None:
        packed = pack(store.tree(id), archive, leave_out=lambda path: "__pycache__" in path)
        keep_sum(archive, packed.sha256)
    os.utime(archive)


def _made_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _version_of(package: Path) -> str:
    try:
        found = _VERSION.search((package / "__init__.py").read_text("utf-8"))
    except OSError as exc:
        raise SuiteError(f"there is no {_PACKAGE} in it: {exc}") from exc
    if found is None:
        raise SuiteError(f"its {_PACKAGE} does not say its version")
    return ".".join(found.groups())


def _copy(manifest: Path, target: Path) -> Path:
    """Copy the directory of a manifest, and return the manifest's copy, which is called MANIFEST."""
    if not manifest.is_file():
        raise SuiteError(f"there is no manifest {manifest}; give the full path of one")
    size = sum(path.lstat().st_size for path in manifest.parent.rglob("*") if not path.is_dir())
    if size > LARGEST:
        raise SuiteError(f"the directory of {manifest} has {size / 1e9:.1f} GB; {LARGEST / 1e9:.1f} are the most")
    try:
        shutil.copytree(manifest.parent, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", ".git"))
    except (OSError, shutil.Error) as exc:
        raise SuiteError(f"the directory of {manifest} cannot be copied: {str(exc)[:300]}") from exc
    (target / manifest.name).rename(target / MANIFEST)
    return target / MANIFEST


def _content_id(tree: Path, version: str, commit: str | None) -> str:
    """The SHA-256 of all files' paths and contents, and of where pyperformance is from."""
    sum = hashlib.sha256(f"{version}\0{commit}".encode())
    for path in sorted(tree.rglob("*")):
        name = path.relative_to(tree).as_posix()
        if path.is_symlink():
            sum.update(f"\0{name}\0link\0{path.readlink()}".encode())
        elif path.is_file():
            sum.update(f"\0{name}\0{path.stat().st_mode & 0o100:o}\0".encode())
            with path.open("rb") as file:
                sum.update(hashlib.file_digest(file, "sha256").digest())
    return sum.hexdigest()


def _check(tree: Path) -> None:
    """SuiteError where a benchmark cannot be read, or has its files elsewhere."""
    suite = open_suite(tree)
    for benchmark in suite.load(suite.select(["all"])):
        metafile = Path(benchmark.metafile or "")
        if not metafile.is_file() or not metafile.resolve().is_relative_to(tree.resolve()):
            where = f"{benchmark.name}: there is no {metafile} in the suite"
            raise SuiteError(f"{where}; a manifest names its benchmarks by <local>, in its own directory")
        try:
            benchmark.tags, benchmark.runscript, benchmark.python  # noqa: B018 (each reads the file)
        except Exception as exc:  # pyperformance raises many kinds for what is wrong in it
            raise SuiteError(f"{benchmark.name}: {metafile.name} cannot be read: {exc}") from exc
