"""Files and index after a crash, on both databases: each found again by the other, nothing doubled, nothing lost."""

import gzip
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from benchyard.hosting import reconciling
from benchyard.hosting.reconciling import Lab, Reconciled, empty_trash, rebuild, reconcile
from benchyard.results import importing, trash
from benchyard.results.files import read_file
from benchyard.store import filed, jobs, measurements, results, trashed
from benchyard.store.migrate import migrate
from benchyard.store.rows import Result
from benchyard.store.tables import measurements as measurements_table
from benchyard.store.tables import results as results_table
from benchyard.store.tables import samples as samples_table

NAME = "bm-20260507-3.16.0a0-49918f5/bm-20260507-sulaco-aarch64-python-main-3.16.0a0-49918f{}.json"

#: Columns that only people and jobs tell, or the index itself.
UNTOLD = ("id", "owner", "changed", "changed_by")


class Bench:
    """A results directory and a datastore, with what was said of them."""

    def __init__(self, root: Path, engine: sa.Engine) -> None:
        self.root, self.engine = root, engine
        self.said: list[str] = []
        self.lab = Lab(root, self.transact, ("sulaco",), say=self.said.append)

    def transact(self, work: Callable[..., Any], *args: Any, **how: Any) -> Any:
        with self.engine.begin() as conn:
            return work(conn, *args, **how)

    def put(self, number: int, data: bytes) -> str:
        """A stored file without a row."""
        content = importing.open_content(data)
        foreign = importing.examine(content, NAME.format(number), now=1.0)
        return str(importing.keep(self.root, content, foreign)["path"])

    def forget(self) -> None:
        """Take the measurements out of the index."""
        with self.engine.begin() as conn:
            for table in (measurements_table, samples_table):
                conn.execute(sa.delete(table))

    def rows(self) -> list[Result]:
        return list(reversed(self.transact(results.list_results)))

    def told(self) -> list[tuple[dict[str, Any], Any, Any]]:
        """All that the index has of files."""
        found = []
        for row in self.rows():
            told = {name: value for name, value in msgspec.structs.asdict(row).items() if name not in UNTOLD}
            gave = [
                msgspec.structs.replace(one, result_id=0) for one in self.transact(measurements.measurements_of, row.id)
            ]
            found.append((told, gave, self.transact(measurements.samples_of, [row.id]).get(row.id)))
        return sorted(found, key=lambda one: str(one[0]["path"]))


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[], str]) -> Iterator[Bench]:
    url = f"sqlite:///{tmp_path}/state.sqlite" if request.param == "sqlite" else new_database()
    engine = sa.create_engine(url)
    migrate(engine)
    root = tmp_path / "results"
    root.mkdir()
    yield Bench(root, engine)
    engine.dispose()


@pytest.fixture(scope="module")
def data(real_results: Path) -> list[bytes]:
    """Three different files, each with a few benchmarks of a real one."""
    document = json.loads(gzip.decompress(min(real_results.glob("bm-*/*.gz")).read_bytes()))
    benchmarks = document["benchmarks"]
    parts = [benchmarks[number : number + 3] for number in (0, 3, 6)]
    return [json.dumps(document | {"benchmarks": part}).encode() for part in parts]


def test_files_without_rows(bench: Bench, data: list[bytes]) -> None:
    """They get rows of what they and their names tell, once; one that somebody may be storing is left to them."""
    old, young = bench.put(1, data[0]), bench.put(2, data[1])
    os.utime(bench.root / old, (1.0, 1.0))
    (bench.root / "notes.json").write_text("{}")
    os.utime(bench.root / "notes.json", (1.0, 1.0))
    assert reconcile(bench.lab) == Reconciled(added=1, unreadable=1)
    (row,) = bench.rows()
    assert (row.path, row.host, row.owner, row.job_id, row.benchmarks) == (old, "sulaco", "lab", None, 3)
    assert len(bench.transact(measurements.measurements_of, row.id)) == 3
    assert reconcile(bench.lab) == Reconciled(unreadable=1)
    assert reconcile(bench.lab, storing_s=0.0) == Reconciled(added=1, unreadable=1)
    assert [row.path for row in bench.rows()] == [old, young]


def test_rebuilt_as_imported(bench: Bench, real_results: Path) -> None:
    """What only the names of PORTAL's files tell is known of them again when the index is made anew of the files."""
    for path in sorted(real_results.glob("portal/*.gz")):
        content = importing.open_content(path.read_bytes())
        columns = importing.keep(bench.root, content, importing.examine(content, path.name, now=1.0))
        bench.transact(filed.take_result, now=2.0, who="ada", owner="ada", **columns)
    told = bench.told()
    assert {(row["suite"], row["fingerprint_id"]) for row, *_ in told} == {
        ("pyperformance", "portal:42d6dd4409cb"),
        ("pyperformance", "portal:b2cf916db80e"),
        ("pyston", "portal:b2cf916db80e"),
    }
    with bench.engine.begin() as conn:
        for table in (measurements_table, samples_table, results_table):
            conn.execute(sa.delete(table))
    assert rebuild(bench.lab).added == 4
    assert bench.told() == told


def test_the_job_of_a_found_file(bench: Bench, data: list[bytes]) -> None:
    """A run that is stored after the lab has found its file gets that row: one run, one file, one row."""
    path = bench.put(1, data[0])
    reconcile(bench.lab, storing_s=0.0)
    (found,) = bench.rows()
    bench.transact(results.modify_result, found.id, now=2.0, who="ada", note="seen")
    content = importing.open_content(data[0])
    job = bench.transact(
        jobs.create_job, now=3.0, who="ada", kind="benchmarks", target="linux-aarch64", host=None, spec={}, owner="ada",
        origin="rest", reason="",
    )  # fmt: skip
    run: dict[str, Any] = {"job_id": job.id, "attempt": 1, "host": "sulaco", "target": "linux-aarch64", "mode": "fast"}
    run |= {"interpreter": {"id": "ab"}, "commit": "49918f5", "branch": "main", "version": "3.16", "flags": ("jit",)}
    run |= {"suite": "pyperformance", "suite_version": "1.14.0", "path": path, "sha256": content.sha256, "size": 9}
    for _ in range(2):
        stored = bench.transact(results.add_result, now=4.0, who="lab", benchmarks=3, **run)
        assert (stored.id, stored.job_id, stored.owner, stored.note) == (found.id, job.id, "ada", "seen")
    assert len(bench.rows()) == 1


def test_rows_without_files(bench: Bench, data: list[bytes]) -> None:
    """They are told and count no more, until the file is there again, or elsewhere; what people disabled stays so."""
    paths = [bench.put(number, one) for number, one in enumerate(data)]
    reconcile(bench.lab, storing_s=0.0)
    one, two, three = bench.rows()
    bench.transact(results.enable_result, three.id, False, now=2.0, who="ada")
    for path in (paths[0], paths[2]):
        (bench.root / path).rename(bench.root / f"{Path(path).name}.hidden")
    moved = "rerun-2/" + paths[1]
    (bench.root / moved).parent.mkdir(parents=True)
    (bench.root / paths[1]).rename(bench.root / moved)
    bench.said.clear()
    assert reconcile(bench.lab, storing_s=0.0) == Reconciled(missing=2, back=1)
    assert f"the file of result {one.id} is gone from the results directory: {paths[0]}" in bench.said
    gone, elsewhere, disabled = bench.rows()
    assert (gone.enabled, gone.missing is not None, gone.status) == (False, True, "stored")
    assert (elsewhere.id, elsewhere.path, elsewhere.enabled, elsewhere.missing) == (two.id, moved, True, None)
    assert (disabled.enabled, disabled.missing) == (False, None)
    for path in (paths[0], paths[2]):
        (bench.root / f"{Path(path).name}.hidden").rename(bench.root / path)
    assert reconcile(bench.lab) == Reconciled(back=1)
    assert [(row.enabled, row.missing) for row in bench.rows()] == [(True, None), (True, None), (False, None)]


def test_no_files_at_all(bench: Bench, data: list[bytes]) -> None:
    """A disk that is not mounted disables nothing."""
    path = bench.put(1, data[0])
    reconcile(bench.lab, storing_s=0.0)
    shutil.rmtree(bench.root / Path(path).parent)
    assert reconcile(bench.lab) == Reconciled()
    assert bench.said[-1].endswith("is it mounted? Nothing is changed")
    assert bench.rows()[0].enabled


def test_rebuilding_without_the_files(bench: Bench, data: list[bytes]) -> None:
    """What cannot be made anew stays: of all, where the disk is not mounted, or of one whose file is damaged."""
    paths = [bench.put(number, one) for number, one in enumerate(data)]
    reconcile(bench.lab, storing_s=0.0)
    before = bench.told()
    bench.root.rename(bench.root.with_name("elsewhere"))
    bench.root.mkdir()
    assert rebuild(bench.lab) == Reconciled()
    assert bench.said[-1].endswith("is it mounted? Nothing is changed")
    assert bench.told() == before
    bench.root.rmdir()
    bench.root.with_name("elsewhere").rename(bench.root)
    (bench.root / paths[1]).chmod(0o644)
    (bench.root / paths[1]).write_bytes(b"{}")
    assert rebuild(bench.lab) == Reconciled(measured=2, unreadable=1)
    assert bench.told() == before


def test_labs_of_before(bench: Bench, data: list[bytes]) -> None:
    """Plain files stay as they are, and get their measurements; a damaged one is told and hinders no other."""
    for number, one in enumerate(data):
        packed = bench.root / bench.put(number, one)
        packed.with_suffix("").write_bytes(read_file(packed))
        packed.unlink()
    assert reconcile(bench.lab, storing_s=0.0) == Reconciled(added=3)
    before = bench.told()
    assert all(str(told["path"]).endswith(".json") for told, _, _ in before)
    bench.forget()
    broken = bench.root / str(before[0][0]["path"])
    broken.write_bytes(broken.read_bytes() + b" ")
    assert reconcile(bench.lab) == Reconciled(measured=2, unreadable=1)
    assert bench.said[-1].endswith("its SHA-256 is another")
    assert bench.told()[1:] == before[1:]


def test_a_file_that_brings_about_a_fault(bench: Bench, data: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong with one file is told, and the others are looked at; with and without a row."""
    paths = [bench.put(number, one) for number, one in enumerate(data)]
    examine = importing.examine

    def examine_one(content: Any, path: str, **how: Any) -> Any:
        if path == paths[0]:
            raise RecursionError("too\ndeep")
        return examine(content, path, **how)

    def index_none(suite: Any) -> Any:
        raise OverflowError("too large")

    monkeypatch.setattr(importing, "examine", examine_one)
    assert reconcile(bench.lab, storing_s=0.0) == Reconciled(added=2, unreadable=1)
    assert any(f"{paths[0]} in the results directory" in text and "too deep" in text for text in bench.said)
    bench.forget()
    monkeypatch.setattr(reconciling, "index_suite", index_none)
    assert reconcile(bench.lab, storing_s=1e9) == Reconciled(unreadable=2)
    assert bench.said[-1].startswith(f"the file of result {bench.rows()[-1].id} cannot be read: {paths[2]}: Overflow")
    monkeypatch.undo()
    assert reconcile(bench.lab, storing_s=0.0) == Reconciled(added=1, measured=2)


def test_a_file_that_the_database_refuses(bench: Bench, data: list[bytes]) -> None:
    """It is told in one line, and the others are looked at."""
    for number, one in enumerate(data):
        bench.put(number, one)
    with bench.engine.begin() as conn:
        conn.exec_driver_sql("CREATE UNIQUE INDEX one_of_a_host ON benchyard_results (host)")
    assert reconcile(bench.lab, storing_s=0.0) == Reconciled(added=1, unreadable=2)
    assert "cannot be taken for a result: IntegrityError: " in bench.said[-1] and len(bench.said[-1]) < 600
    with bench.engine.begin() as conn:
        conn.exec_driver_sql("DROP INDEX one_of_a_host")
    assert reconcile(bench.lab, storing_s=0.0) == Reconciled(added=2)


def test_work_is_left_and_taken_up(bench: Bench, data: list[bytes]) -> None:
    """When the lab stops in the middle, the next start goes on."""
    for number, one in enumerate(data):
        bench.put(number, one)
    stops = iter([False, True, True, False])
    stopping = bench.lab._replace(pause=lambda: next(stops))
    assert reconcile(stopping, storing_s=0.0) == Reconciled(added=1)
    assert reconcile(bench.lab, storing_s=0.0) == Reconciled(added=2)


def test_trash_is_finished(bench: Bench, data: list[bytes]) -> None:
    """A result that was being removed when the lab died is in the trash, and its file does not come back."""
    path = bench.put(1, data[0])
    bench.put(2, data[1])
    os.utime(bench.root / path, (1.0, 1.0))
    reconcile(bench.lab, storing_s=0.0)
    removed = bench.rows()[0].id
    bench.transact(trashed.trash_result, removed, now=2.0, who="ada")
    assert reconcile(bench.lab, storing_s=0.0) == Reconciled()
    assert not (bench.root / path).exists() and (trash.folder_of(bench.root, removed, path) / path).is_file()
    assert len(bench.rows()) == 1


@pytest.mark.parametrize("before", [False, True])
def test_place_of_a_removed_result(bench: Bench, data: list[bytes], *, before: bool) -> None:
    """A new result's file at the path of one in the trash, be it the trash of before, is no part of that."""
    path = bench.put(1, data[0])
    reconcile(bench.lab, storing_s=0.0)
    (first,) = bench.rows()
    bench.transact(trashed.trash_result, first.id, now=time.time(), who="ada")
    trash.throw_away(bench.root, first.id, path, first.sha256)
    if before:
        old = bench.root / trash.FOLDER / path
        old.parent.mkdir()
        (bench.root / trash.FOLDER / str(first.id) / path).rename(old)
    assert bench.put(1, data[1]) == path
    os.utime(bench.root / path, (1.0, 1.0))
    assert reconcile(bench.lab, storing_s=0.0) == Reconciled(added=1)
    (second,) = bench.rows()
    for _ in range(2):
        assert reconcile(bench.lab, storing_s=0.0) == Reconciled()
    shutil.rmtree(bench.root / trash.FOLDER)
    assert reconcile(bench.lab, storing_s=0.0) == Reconciled()
    assert (second.path, bench.rows()) == (path, [second])
    assert read_file(bench.root / path) == data[1]


@pytest.mark.parametrize("emptied", [False, True])
def test_back_from_the_trash(bench: Bench, data: list[bytes], *, emptied: bool) -> None:
    """A file that somebody takes out of the trash, or brings again, is a new result; the removed one stays removed."""
    path = bench.put(1, data[0])
    reconcile(bench.lab, storing_s=0.0)
    (removed,) = bench.rows()
    bench.transact(trashed.trash_result, removed.id, now=time.time(), who="ada")
    trash.throw_away(bench.root, removed.id, path, removed.sha256)
    if emptied:
        trash.empty(bench.root, days=-1.0)
        assert bench.put(1, data[0]) == path
    else:
        (trash.folder_of(bench.root, removed.id, path) / path).rename(bench.root / path)
    assert reconcile(bench.lab, storing_s=0.0) == Reconciled(added=1)
    (back,) = bench.rows()
    assert (back.path, back.sha256) == (path, removed.sha256) and back.id != removed.id
    assert reconcile(bench.lab, storing_s=0.0) == Reconciled()
    assert read_file(bench.root / path) == data[0]
    assert bench.transact(results.get_result, removed.id).status == "trashed"


def test_emptying_the_trash(bench: Bench, data: list[bytes]) -> None:
    """What was there long enough is gone for good, and its row says so; what was not, and what comes again, stays."""
    paths = [bench.put(number, one) for number, one in enumerate(data)]
    reconcile(bench.lab, storing_s=0.0)
    old, young, _ = bench.rows()
    flame = bench.root / f"{old.path}.d" / "nbody.svg"
    flame.parent.mkdir()
    flame.write_text("<svg/>")
    for row, days in ((old, 40), (young, 20)):
        trash.throw_away(bench.root, row.id, str(row.path), row.sha256)
        bench.transact(trashed.trash_result, row.id, now=time.time() - days * 86_400, who="ada")
    stray = bench.root / trash.FOLDER / "bm-x.json"
    stray.write_text("{}")
    os.utime(stray, (1.0, 1.0))
    assert bench.put(0, data[0]) == paths[0]
    assert empty_trash(bench.lab._replace(pause=lambda: True), days=30.0) == 0
    assert empty_trash(bench.lab, days=30.0) == 1
    gone = bench.transact(results.get_result, old.id)
    assert (gone.path, gone.status, gone.sha256) == (None, "trashed", old.sha256)
    assert not (bench.root / trash.FOLDER / str(old.id)).exists() and not stray.exists()
    kept = bench.transact(results.get_result, young.id)
    assert kept.path == paths[1] and (trash.folder_of(bench.root, young.id, paths[1]) / paths[1]).is_file()
    assert read_file(bench.root / paths[0]) == data[0]
    assert empty_trash(bench.lab, days=30.0) == 0
    assert reconcile(bench.lab, storing_s=0.0) == Reconciled(added=1)


def test_rebuilt_index(bench: Bench, real_results: Path) -> None:
    """The index that is made of the files alone is the one that there was, in all that files tell; notes stay."""
    for path in [*sorted(real_results.glob("bm-2026050*/*")), *sorted((real_results / "portal").iterdir())]:
        content = importing.open_content(path.read_bytes())
        foreign = importing.examine(content, f"{path.parent.name}/{path.name}", now=1.0)
        columns = importing.keep(bench.root, content, foreign)
        bench.transact(filed.take_result, now=1.0, who="ada", owner="ada", **columns)
    before = bench.told()
    assert len(before) == 6
    kept = bench.rows()[0]
    bench.transact(results.modify_result, kept.id, now=2.0, who="ada", note="before the new fan", branch="mine")
    bench.forget()
    assert rebuild(bench.lab) == Reconciled(measured=6)
    row = bench.transact(results.get_result, kept.id)
    assert (row.note, row.branch, row.owner) == ("before the new fan", "mine", "ada")

    with bench.engine.begin() as conn:
        for table in (measurements_table, samples_table, results_table):
            conn.execute(sa.delete(table))
    assert rebuild(bench.lab) == Reconciled(added=6)
    assert bench.told() == before
    assert rebuild(bench.lab) == Reconciled(measured=6)
    assert bench.told() == before
