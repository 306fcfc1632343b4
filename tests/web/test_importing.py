"""Import and export of results through a real master, by the client and by the command."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from benchrunner import BenchRunner

from benchyard.client import Client, Invalid
from benchyard.store import filed, measurements
from benchyard.store.tables import results as results_table

if TYPE_CHECKING:
    from tests.web.conftest import Lab

PORTAL = "cpython-3.11.0a3-2e91dba437-fc_linux-b2cf916db80e-pyston.json.gz"

#: What files and their names tell, so that it is the same in each lab.
TOLD = ("host", "target", "interpreter", "commit", "branch", "version", "flags", "suite", "suite_version", "mode",
        "path", "sha256", "size", "benchmarks", "created", "kind", "grade", "fingerprint_id")  # fmt: skip


@pytest.fixture(scope="module")
def own(make_lab: "Callable[..., Lab]") -> "Lab":
    """A lab with a member, whose hosts are not connected."""
    lab = make_lab()
    lab.add_user("ada", "member")
    return lab


@pytest.fixture(scope="module")
def other(make_lab: "Callable[..., Lab]") -> "Lab":
    """Another lab."""
    return make_lab()


@pytest.fixture(scope="module")
def foreign(real_results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of files of others: some real ones, plain ones, and what is no result."""
    folder, portal = tmp_path_factory.mktemp("foreign"), real_results / "portal" / PORTAL
    for path in [*sorted(real_results.glob("bm-2026050*/*")), portal]:
        (folder / path.parent.name).mkdir(exist_ok=True)
        shutil.copy(path, folder / path.parent.name / path.name)
    plain = json.loads(gzip.decompress(portal.read_bytes()))
    plain["benchmarks"] = plain["benchmarks"][:2]
    plain["metadata"] = {"hostname": "desk-7", "unit": "second"}
    (folder / "mine.json").write_text(json.dumps(plain))
    (folder / "again.json.gz").write_bytes(gzip.compress((folder / "mine.json").read_bytes()))
    (folder / "package.json").write_text('{"name": "a web page"}')
    (folder / "empty.json").write_bytes(b"")
    (folder / "cut.json.gz").write_bytes(portal.read_bytes()[:-2000])
    (folder / "bomb.json.gz").write_bytes(gzip.compress(bytes(150_000_000)))
    with (folder / "huge.json").open("wb") as file:
        file.truncate(1_000_000_000)
    (folder / ".hidden.json").write_text("{}")
    return folder


def command(lab: "Lab", who: str, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    """`benchyard result ...` as somebody."""
    environ = os.environ | {"BENCHYARD_URL": lab.url, "BENCHYARD_TOKEN": lab.tokens[who]}
    line = [sys.executable, "-m", "benchyard.cli", "result", *map(str, argv)]
    return subprocess.run(line, env=environ, capture_output=True, text=True, timeout=120)


def rows(lab: "Lab") -> dict[str, dict[str, Any]]:
    """What the index has of each result by its file's digest: the told columns, the measurements and the samples."""
    with lab.engine().begin() as conn:
        found: dict[str, dict[str, Any]] = {}
        for row in conn.execute(sa.select(results_table)).mappings():
            told = {name: row[name] for name in TOLD}
            gave = [
                tuple(getattr(one, name) for name in one.__struct_fields__ if name != "result_id")
                for one in measurements.measurements_of(conn, row["id"])
            ]
            samples = hashlib.sha256(measurements.samples_of(conn, [row["id"]])[row["id"]]).hexdigest()
            found[row["sha256"]] = {**told, "measurements": gave, "samples": samples}
        return found


@pytest.fixture
def client(own: "Lab") -> Iterator[Client]:
    """A client of the member's."""
    with Client(own.url, token=own.tokens["ada"]) as client:
        yield client


def test_import(own: "Lab", foreign: Path, client: Client) -> None:
    """All that are results are taken in, once; the others are listed with the reason, and nothing of them is kept."""
    looked = command(own, "ada", "import", "--dry-run", foreign)
    assert looked.stdout.splitlines()[-1] == "5 would be imported, 5 skipped", looked.stderr
    assert not list(client.results.list())

    done = command(own, "ada", "import", foreign)
    assert done.returncode == 0
    said = done.stdout.splitlines()
    assert said[-1] == "4 imported, 1 there already, 5 skipped"
    assert {line.partition(":")[0]: line.partition(": ")[2] for line in said[:-1]} == {
        "skipped bomb.json.gz": "the result file has more than the 100 MB (unpacked) that a result may have",
        "skipped cut.json.gz": "the result file is cut short: gzip cannot unpack all of it",
        "skipped empty.json": "the result file is empty",
        "skipped huge.json": "it has more than the 100 MB that a result may have",
        "skipped package.json": "the result file is not pyperf's: Object missing required field `version`",
    }
    found = {result.host: result for result in client.results.list()}
    assert set(found) == {"desk-7", "fc_linux", "sulaco"}
    assert {(r.host, r.flags) for r in client.results.list(host="sulaco")} == {("sulaco", ()), ("sulaco", ("jit",))}
    older = found["fc_linux"]
    assert (older.commit, older.branch, older.version, older.target, older.owner) == (
        "2e91dba437fe5c56c6f8213294eeb7a704760509",
        "3.11",
        "3.11.0a3",
        "linux-x86_64",
        "ada",
    )
    assert (older.suite, older.fingerprint_id) == ("pyston", "portal:b2cf916db80e")
    assert older.created is not None and older.created.year == 2022
    assert older.read() == gzip.decompress((foreign / "portal" / PORTAL).read_bytes())
    assert found["desk-7"].read() == (foreign / "mine.json").read_bytes()

    again = command(own, "ada", "import", foreign, "--json")
    assert json.loads(again.stdout)["summary"] == {"known": 5, "skipped": 5}
    assert not list((own.root / "results").rglob("*.partial"))


def test_a_name_that_is_no_text(own: "Lab", foreign: Path, tmp_path: Path) -> None:
    """A file whose name is not UTF-8 is taken like any other, and shown readable."""
    shutil.copy(foreign / "mine.json", tmp_path / os.fsdecode(b"mine\xe9.json"))
    (tmp_path / os.fsdecode(b"caf\xe9.json")).write_text("{}")
    done = command(own, "ada", "import", tmp_path)
    assert done.returncode == 0, done.stderr
    skipped, summary = done.stdout.splitlines()
    assert skipped.startswith("skipped caf\ufffd.json: the result file is not pyperf's")
    assert summary == "1 there already, 1 skipped"


def test_comparison_reads_no_file(own: "Lab", client: Client) -> None:
    """What was imported is compared by its samples: the file may even be away."""
    base, head = sorted(client.results.list(host="sulaco"), key=lambda result: result.id)
    before = client.results.compare(base, head)
    path = own.root / "results" / str(base.path)
    hidden = path.rename(path.with_suffix(".hidden"))
    try:
        assert client.results.compare(base, head).document == before.document
    finally:
        hidden.rename(path)


def test_export_and_import(own: "Lab", other: "Lab", tmp_path: Path) -> None:
    """What is exported is what was measured, and another lab makes the same rows of it; what is there is left."""
    done = command(own, "ada", "export", "--all", tmp_path / "out")
    assert done.stdout == "4 exported\n", done.stderr
    assert command(own, "ada", "export", "--all", tmp_path / "out").stdout == "4 there already\n"
    files = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert {path.parts[:-2] for path in files} == {(), ("portal-b2cf916db80e-pyston",)}
    assert all(path.name.startswith("bm-") and path.suffix == ".json" for path in files)
    taken = command(other, "admin", "import", tmp_path / "out")
    assert taken.stdout == "4 imported\n", taken.stdout
    assert rows(other) == rows(own)


def test_export_of_a_damaged_file(own: "Lab", client: Client, tmp_path: Path) -> None:
    """A result whose file is damaged is left out with the reason, and all others are exported."""
    damaged, *others = client.results.list()
    path = own.root / "results" / str(damaged.path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    try:
        done = command(own, "ada", "export", "--all", tmp_path)
    finally:
        path.write_bytes(whole)
    assert done.returncode == 1, done.stderr
    failed, summary = done.stdout.splitlines()
    assert failed.startswith("failed ")
    assert f": the file of result {damaged.id} is damaged, bring it back from a backup: {damaged.path}" in failed
    assert summary == f"{len(others)} exported, 1 failed"


@pytest.mark.parametrize("noted", [False, True])
def test_import_of_what_was_lost(own: "Lab", client: Client, foreign: Path, *, noted: bool) -> None:
    """The file of a result whose own is gone from the disk is brought back by it, and the result counts again."""
    assert list(client.results.import_from(foreign))
    (lost,) = client.results.list(host="desk-7")
    (own.root / "results" / str(lost.path)).unlink()
    if noted:
        with own.engine().begin() as conn:
            filed.note_missing(conn, lost.id, now=2.0, who="lab")
    (dry,) = client.results.import_from(foreign / "mine.json", dry_run=True)
    assert (dry.outcome, dry.result) == ("new", lost.id)
    done = command(own, "ada", "import", foreign / "mine.json")
    assert done.stdout == f"result {lost.id} has its file again: mine.json\n1 brought back\n", done.stderr
    assert lost.read() == (foreign / "mine.json").read_bytes()
    found = lost.refresh()
    assert (found.path, found.enabled, found.missing) == (lost.path, True, None)
    (again,) = client.results.import_from(foreign / "mine.json")
    assert (again.outcome, again.result) == ("known", lost.id)


#: bench_runner's own loader, told of a directory.
LOADER = """
import json, sys
from bench_runner.result import load_all_results

found = load_all_results(None, sys.argv[1], sorted=False, match=False)
told = [[one.nickname, one.cpython_hash, one.version, list(one.flags), len(one.benchmark_names)] for one in found]
print(json.dumps(told))
"""


@pytest.mark.slow
def test_bench_runner_reads_an_export(own: "Lab", client: Client, foreign: Path, tmp_path: Path) -> None:
    """bench_runner's own loader, of its last version, finds the same results with the same names in an export."""
    assert list(client.results.import_from(foreign))
    assert command(own, "ada", "export", "--all", tmp_path / "out").stdout.endswith(" exported\n")
    told = json.loads(BenchRunner(tmp_path).python("-c", LOADER, str(tmp_path / "out")))
    expected = [
        [
            str(result.host).replace("-", "_"),
            (result.commit or str(result.sha256))[:7],
            result.version,
            [flag.upper() for flag in result.flags],
            result.benchmarks,
        ]
        for result in client.results.list()
    ]
    assert told
    assert sorted(told) == sorted(expected)


def test_hosts_are_not_taken_over(own: "Lab", foreign: Path, client: Client, tmp_path: Path) -> None:
    """A file of a host that the lab has is that host's only if somebody says so."""
    (tmp_path / "mine.json").write_text((foreign / "mine.json").read_text().replace("desk-7", own.isolated or ""))
    (skipped,) = client.results.import_from(tmp_path)
    assert (skipped.outcome, skipped.reason) == (
        "skipped",
        f"it says that it is of host {own.isolated}, and this lab has one: confirm that, or name another",
    )
    (named,) = client.results.import_from(tmp_path, host="elsewhere", dry_run=True)
    (meant,) = client.results.import_from(tmp_path, own_hosts=True)
    assert (named.outcome, named.host) == ("new", "elsewhere")
    assert (meant.outcome, meant.host) == ("imported", own.isolated)


@pytest.mark.parametrize("name", ["../../x.json", "a\x00.json", "bm-1\n.json"])
def test_names_that_are_refused(own: "Lab", foreign: Path, name: str) -> None:
    """A name that leads elsewhere, or cannot be shown, is refused, and nothing is kept."""
    before = rows(own)
    data = (foreign / "mine.json").read_bytes().replace(b"desk-7", b"desk-8")
    answer = own.call("PUT", "/results/import", "ada", params={"name": name}, content=data)
    assert answer.status_code == 422 and "cannot be named" in answer.json()["detail"]
    assert rows(own) == before


def test_packed_file_is_written(client: Client, foreign: Path) -> None:
    """`write` takes a packed file, too, and keeps what was in it; a damaged one leaves the result without a file."""
    result = client.results.add("far")
    with pytest.raises(Invalid, match="cut short"):
        result.write(foreign / "cut.json.gz")
    assert result.refresh().path is None
    data = (foreign / "mine.json").read_bytes().replace(b"desk-7", b"desk-9")
    written = result.write(gzip.compress(data))
    assert written.read() == data
    assert written.write(data).id == result.id


def test_reconciled_at_start(make_lab: "Callable[..., Lab]", foreign: Path, tmp_path: Path) -> None:
    """A file that is in the results folder when a master starts is a result soon, of what it and its name tell."""
    (path,) = (foreign / "bm-20260507-3.16.0a0-49918f5").iterdir()
    kept = tmp_path / path.parent.name / path.name
    kept.parent.mkdir()
    kept.write_bytes(path.read_bytes())
    os.utime(kept, (1.0, 1.0))
    lab = make_lab(results=tmp_path)
    deadline = time.monotonic() + 60
    while not (found := lab.call("GET", "/results").json()["items"]):
        assert time.monotonic() < deadline, lab.log()
        time.sleep(0.1)
    (result,) = found
    assert (result["host"], result["owner"], result["missing"]) == ("sulaco", "lab", None)
    assert result["path"] == f"{path.parent.name}/{path.name}"


def test_pruned(make_lab: "Callable[..., Lab]", foreign: Path, tmp_path: Path) -> None:
    """Old results go to the trash when an admin says so, one a week stays; before that it is told."""
    lab = make_lab(more="\n[retention]\nkeep_all_days = 30.0\n")
    document = json.loads((foreign / "mine.json").read_bytes())
    document["metadata"]["python_version"] = "3.11.0a3+ (64-bit)"  # no release
    for day in (3, 4, 5, 12):
        for benchmark in document["benchmarks"]:
            for number, run in enumerate(benchmark["runs"]):
                run["metadata"]["date"] = f"2022-01-{day:02} 10:00:{number:02}"
        (tmp_path / f"{day}.json").write_text(json.dumps(document))
    assert command(lab, "admin", "import", tmp_path).stdout == "4 imported\n"
    told = command(lab, "admin", "prune", "--dry-run").stdout.splitlines()
    assert told[-1] == "2 results would go to the trash"
    assert [line.split()[2] for line in told[:-1]] == ["2022-01-03", "2022-01-04"]
    assert (
        command(lab, "admin", "prune", "--keep-days", "36500", "--dry-run").stdout
        == "0 results would go to the trash\n"
    )
    assert command(lab, "admin", "prune", "--yes").stdout.splitlines()[-1] == "2 results went to the trash"
    assert len(lab.call("GET", "/results").json()["items"]) == 2
    assert len(list((lab.root / "results" / ".trash").rglob("*.json.gz"))) == 2
    assert command(lab, "admin", "prune", "--yes").stdout == "0 results went to the trash\n"
    assert command(lab, "admin", "import", tmp_path).stdout == "2 imported, 2 there already\n"
    assert len(lab.call("GET", "/results").json()["items"]) == 4
