"""Result files and their index, held against each other after whatever has happened: a crash, a restored backup.

A file without a row gets one, of what it and its name tell; that of a run of the lab's own gets the row that it had. A
row whose file is gone is told and counts no more until the file is there again, be it elsewhere. Results whose
measurements are not in the index, as in labs of before, get them. Nothing is removed. All of it blocks, and may be done
again at any time, or be cut off.
"""

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from benchyard.results import importing, trash
from benchyard.results.errors import ResultError, StorageError
from benchyard.results.files import read_file
from benchyard.results.index import index_suite
from benchyard.results.layout import PACKED, VALUES, read_name, valueless_kind
from benchyard.results.reading import read_suite
from benchyard.store import filed, measurements, trashed
from benchyard.store.filed import Filed
from benchyard.store.history import LAB
from benchyard.store.rows import Result

#: Runs a function of the store, its connection coming first, in a transaction.
Transact = Callable[..., Any]

#: Seconds for which a file may be without its row: whoever stores it adds that next.
STORING_S = 600.0

# Characters of what a fault says: a database says all that it was to do.
_MOST_WORDS = 300

# Results that are looked for at once.
_PAGE = 50


class Lab(NamedTuple):
    """What is reconciled: the results directory, the datastore, and the names of the hosts that the lab knows.

    `pause` is called between any two files; where it says True the work is left. `say` is told what people should know.
    """

    root: Path
    transact: Transact
    hosts: Sequence[str] = ()
    pause: Callable[[], bool] = lambda: False
    say: Callable[[str], object] = lambda text: None


class Reconciled(NamedTuple):
    """How many results were added, miss their files, have them again, and were measured; and what is unreadable."""

    added: int = 0
    missing: int = 0
    back: int = 0
    measured: int = 0
    unreadable: int = 0

    def __str__(self) -> str:
        words = ("added", "without their files", "with their files again", "indexed", "files unreadable")
        return ", ".join(f"{count} {what}" for count, what in zip(self, words, strict=True) if count) or "all in order"


def reconcile(lab: Lab, *, storing_s: float = STORING_S, anew: bool = False) -> Reconciled:
    """Hold files and index against each other; files younger than `storing_s` are left to those who store them.

    With `anew` what the index has of files is made once more.
    """
    known: tuple[Filed, ...] = lab.transact(filed.list_filed)
    files = set(result_files(lab.root))
    if known and not files and any(one.path.endswith((VALUES, VALUES + PACKED)) for one in known):
        lab.say(f"there are no files in the results directory {lab.root}: is it mounted? Nothing is changed")
        return Reconciled()
    missing, back = _check_rows(lab, known)
    having = {one.path for one in known if one.status == "stored"}
    added, moved, unreadable = _adopt(lab, files - having, storing_s)
    done = Reconciled(added, missing, back + moved, 0, unreadable)
    measured, damaged = measure_missing(lab, anew=known[-1].id if anew and known else 0)
    return done._replace(measured=measured, unreadable=unreadable + damaged)


def empty_trash(lab: Lab, *, days: float) -> int:
    """Remove for good what has been in the trash for longer than `days`; tells of how many results that was.

    A row whose file is gone for good says so, and is looked after no more. Then files that have no row go, too.
    """
    emptied = 0
    before = time.time() - days * 86_400
    while rows := lab.transact(trashed.expired_trash, before, limit=_PAGE):
        for row in rows:
            if lab.pause():
                return emptied
            try:
                trash.remove(lab.root, row.id, str(row.path))
            except StorageError as exc:
                lab.say(str(exc))
                return emptied
            lab.transact(trashed.forget_file, row.id, now=time.time(), who=LAB)
            emptied += 1
    trash.empty(lab.root, days=days)
    return emptied


def rebuild(lab: Lab) -> Reconciled:
    """Make all that the index has of files anew, from the files alone; what people said of results stays.

    What cannot be made anew, as its file is gone or damaged, stays, too.
    """
    return reconcile(lab, storing_s=0.0, anew=True)


def result_files(root: Path) -> Iterator[str]:
    """The paths of the pyperf files below the results directory, and of those that are named like results.

    What is hidden, or belongs to a result, is none.
    """
    for path in root.rglob("*"):
        below = path.relative_to(root)
        if any(part.startswith(".") or part.endswith(".d") for part in below.parts):
            continue
        values = below.name.endswith((VALUES, VALUES + PACKED))
        if (values or read_name(PurePosixPath(below.parent, below.stem + VALUES)) is not None) and path.is_file():
            yield below.as_posix()


def _by_age(root: Path, paths: Iterable[str]) -> list[tuple[float, str]]:
    """The paths with the times at which the files were written, the oldest first; without those that are gone."""
    found = []
    for path in paths:
        with suppress(FileNotFoundError):
            found.append((root.joinpath(path).stat().st_mtime, path))
    return sorted(found)


def measure_missing(lab: Lab, *, anew: int = 0) -> tuple[int, int]:
    """Give results their measurements that have none in the index; how many, and how many could not be read.

    Those up to the id `anew` get theirs once more.
    """
    measured = damaged = after = 0
    while rows := lab.transact(measurements.unmeasured, after=after, anew=anew, limit=_PAGE):
        for row in rows:
            after = row.id
            if lab.pause():
                return measured, damaged
            if (indexed := _indexed(lab, row)) is None:
                damaged += 1
                continue
            lab.transact(measurements.add_measurements, row.id, indexed["measurements"], indexed["samples"])
            measured += 1
    return measured, damaged


def _indexed(lab: Lab, row: Result) -> dict[str, Any] | None:
    try:
        content = importing.open_content(read_file(lab.root / str(row.path)))
        if content.sha256 != row.sha256:
            raise ResultError("its SHA-256 is another")
        return index_suite(read_suite(content.data))
    except FileNotFoundError:
        return None  # told of as missing
    except (OSError, ResultError) as exc:
        lab.say(f"the file of result {row.id} is damaged, bring it back from a backup: {row.path}: {exc}")
        return None
    except Exception as exc:  # whatever a file brings about, it is not to keep the others from being looked at
        lab.say(f"the file of result {row.id} cannot be read: {row.path}: {_fault(exc)}")
        return None


def _fault(exc: Exception) -> str:
    """What a fault of ours says, in one line, and where it came about: for whoever mends it."""
    last = traceback.extract_tb(exc.__traceback__)[-1]
    words = " ".join(str(exc).split())[:_MOST_WORDS]
    return f"{type(exc).__name__}: {words} ({Path(last.filename).name}, line {last.lineno})"


def _check_rows(lab: Lab, known: Sequence[Filed]) -> tuple[int, int]:
    """Tell rows without files, and those that have them again; finish what was being put into the trash."""
    missing = back = 0
    for row in known:
        there = (lab.root / row.path).is_file()
        if row.status == "trashed":
            _finish_removal(lab, row)
        elif not there and row.enabled:
            lab.say(f"the file of result {row.id} is gone from the results directory: {row.path}")
            lab.transact(filed.note_missing, row.id, now=time.time(), who=LAB)
            missing += 1
        elif there and row.missing is not None:
            lab.say(f"the file of result {row.id} is there again: {row.path}")
            lab.transact(filed.note_found, row.id, path=row.path, now=time.time(), who=LAB)
            back += 1
    return missing, back


def _finish_removal(lab: Lab, row: Filed) -> None:
    """Put the file of a trashed result into the trash if the lab died before it did.

    What was written later has come to a place that was free: a file of the same name, or the one out of the trash.
    """
    try:
        written = (lab.root / row.path).stat().st_mtime
    except OSError:
        return
    late = row.trashed is None or written >= row.trashed
    done = (trash.folder_of(lab.root, row.id, row.path) / row.path).exists()
    if not late and not done and lab.transact(filed.is_free, row.path):
        trash.throw_away(lab.root, row.id, row.path, row.sha256)


def _adopt(lab: Lab, paths: Iterable[str], storing_s: float) -> tuple[int, int, int]:
    """Give files their rows; how many results were added, how many have their files again, and what is unreadable.

    They come in the order in which they were written: so the epochs of hosts are found again.
    """
    added = moved = unreadable = 0
    for written, path in _by_age(lab.root, paths):
        if lab.pause():
            break
        try:
            if time.time() - written < storing_s:
                continue
            content = importing.open_content((lab.root / path).read_bytes())
            same: Result | None = lab.transact(filed.result_of_content, content.sha256)
            if same is not None:
                if same.missing is not None:
                    lab.say(f"the file of result {same.id} is there again: {path}")
                    lab.transact(filed.note_found, same.id, path=path, now=time.time(), who=LAB)
                    moved += 1
                continue
            foreign = (
                importing.examine(content, path, hosts=lab.hosts, now=written)
                if valueless_kind(path) is None
                else importing.examine_without_values(content, now=written)
            )
            if foreign is None:
                continue  # somebody's notes
            row, new = _add(lab, foreign, path)
        except FileNotFoundError:
            continue  # it was removed meanwhile
        except (OSError, ResultError) as exc:
            lab.say(f"{path} in the results directory is no result: {exc}")
            unreadable += 1
            continue
        except Exception as exc:  # as above
            lab.say(f"{path} in the results directory cannot be taken for a result: {_fault(exc)}")
            unreadable += 1
            continue
        lab.say(f"{path} in the results directory is result {row.id} from now on")
        added += new
    return added, moved, unreadable


def _add(lab: Lab, foreign: importing.Foreign, path: str) -> tuple[Result, bool]:
    """Give a file its row, and tell whether it had none."""
    columns = {**foreign.columns, "path": path, "now": time.time(), "who": LAB}
    if (run := foreign.run) is None:
        found = lab.transact(filed.take_result, owner=LAB, **columns)
    else:
        told = {"job_id": run.job, "attempt": run.attempt, "started": run.started, "host_print": run.host_print}
        found = lab.transact(filed.take_run, **told, **columns)
    row, new = found
    return row, new
