"""The suites that the settings name, made when a job first asks for one, and packed for the hosts that measure."""

import hashlib
from pathlib import Path

import msgspec

from benchyard.config.settings import SETTINGS_FILE, Settings
from benchyard.config.settings import Suite as SuiteSettings
from benchyard.tasks.errors import SuiteError
from benchyard.tasks.hostlock import hold_lock
from benchyard.tasks.suite import Suite, installed_suite, open_suite
from benchyard.tasks.suitemaking import MadeSuite, make_suite, pack_suite, read_made, write_made
from benchyard.tasks.trees import TreeStore

_LOCK_S = 1800.0


def find_suite(settings: Settings, name: str) -> Suite:
    """The suite that has this name in the settings; "" is the pyperformance that is installed on all hosts.

    It is made once; a branch in its `ref` stays what it was then, until the settings name another. Raises TaskError.
    Blocks for as long as fetching takes.
    """
    if not name:
        return installed_suite()
    if name not in settings.suites:
        known = ", ".join(settings.suites) or "none"
        raise SuiteError(f"no suite {name[:80]!r}; {SETTINGS_FILE} has {known}")
    store = TreeStore(settings.suites_dir)
    lock = settings.suites_dir / f"{name}.lock"
    failure = SuiteError(f"{lock} is held by another process for too long")
    with hold_lock(lock, limit_s=_LOCK_S, failure=failure):
        made = _made(settings, store, name)
        pack_suite(store, made.id, settings.archives_dir / "suites" / f"{made.id}.tar.gz")
    return open_suite(store.tree(made.id))


def _made(settings: Settings, store: TreeStore, name: str) -> MadeSuite:
    asked = settings.suites[name]
    made_of = _made_of(asked)
    known = read_made(settings.suites_dir, name)
    if known is not None and known.made_of == made_of and store.has(known.id):
        return known
    suite = make_suite(
        store,
        work=settings.directory / "source",
        version=asked.version or None,
        repository=asked.repository or None,
        ref=asked.ref or None,
        manifests=[Path(manifest) for manifest in asked.manifests],
    )
    made = MadeSuite(made_of, suite.id)
    write_made(settings.suites_dir, name, made)
    return made


def _made_of(asked: SuiteSettings) -> str:
    """A hash of all that a suite is made of; of files it is their names, sizes and times."""
    sum = hashlib.sha256(msgspec.json.encode(asked))
    if not asked.version and not asked.repository:
        sum.update(installed_suite().label.encode())
    for manifest in asked.manifests:
        for path in sorted(Path(manifest).parent.rglob("*")):
            if "__pycache__" not in path.parts and not path.is_dir():
                found = path.lstat()
                sum.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\0".encode())
    return sum.hexdigest()
