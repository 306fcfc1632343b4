"""Series and regressions over REST, by the client and on the command line, of a lab with a few hundred results."""

import csv
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from benchyard.cli import main
from benchyard.client import Client, Invalid, NotFound, Stale
from benchyard.store import jobs, measurements, results
from benchyard.store.tables import results as table

if TYPE_CHECKING:
    from tests.web.conftest import Lab

HOST = "series-host"

#: What the lab has: 24 commits at one level, 16 at another; go the other way round, chaos always alike.
LEVELS = {"nbody": (1.0, 1.2), "go": (1.2, 1.0), "chaos": (0.5, 0.5)}


def add(conn: sa.Connection, number: int, means: dict[str, float], **given: Any) -> int:
    """A result of the commit with this number, of nearly this much."""
    job = jobs.create_job(
        conn, now=1.0, who="ada", kind="benchmarks", target="series", host=None, origin="rest", owner="ada",
        spec={"python": "/p", "benchmarks": [], "selection": [], "mode": "default"}, reason="", status="success",
    )  # fmt: skip
    commit = f"{number:040x}"
    values: dict[str, Any] = {
        "host": HOST, "target": "series", "commit": commit, "branch": "main", "version": "3.16.0a0",
        "flags": ("lto", "pgo"), "suite": "pyperformance", "suite_version": "1.14.0", "mode": "full",
        "interpreter": {"commit_date": f"2026-03-0{1 + number // 24}T{number % 24:02}:00Z"},
        "path": f"series/{job.id}.json", "sha256": f"{job.id:064x}", "size": 5, "benchmarks": len(means), **given,
    }  # fmt: skip
    epoch = values.pop("epoch", 1)
    row = results.add_result(conn, now=1.8e9 + number, who="lab", job_id=job.id, attempt=1, **values)
    conn.execute(sa.update(table).where(table.c.id == row.id).values(epoch=epoch))
    rest = {"unit": "second", "n": 60, "median": 1.0, "mad": 0.0, "minimum": 1.0, "maximum": 1.0}
    rest |= {"memory": None, "version": "1.0", "stdev": 0.01}
    noise = 1.0 + 0.002 * (number * 7 % 5)
    rows = [{"benchmark": name, "mean": mean * noise, **rest} for name, mean in means.items()]
    measurements.add_measurements(conn, row.id, rows, b"")
    return row.id


@pytest.fixture(scope="module")
def ids(lab: "Lab") -> list[int]:
    """The results, the last two of them with a JIT."""
    with lab.engine().begin() as conn:
        made = [add(conn, n, {name: level[n >= 24] for name, level in LEVELS.items()}) for n in range(40)]
        made += [add(conn, n, {"nbody": 0.7}, flags=("jit", "lto", "pgo")) for n in (50, 51)]
    return made


@pytest.fixture(scope="module")
def client(lab: "Lab", ids: list[int]) -> Client:
    """The client of a member, once the records are made."""
    client = Client(lab.url, token=lab.tokens["ada"])
    deadline = time.monotonic() + 60.0
    while len(list(client.regressions.list(direction="both", host=HOST))) < 2:
        assert time.monotonic() < deadline, "no records of the changes"
        time.sleep(0.2)
    return client


def cli(lab: "Lab", monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What a command prints."""
    monkeypatch.setenv("BENCHYARD_URL", lab.url)
    monkeypatch.setenv("BENCHYARD_TOKEN", lab.tokens["ada"])
    assert main(["result", *argv]) == 0
    return capsys.readouterr().out


def test_series_of_a_benchmark(client: Client, ids: list[int]) -> None:
    """Lanes by themselves, points in order, and the change with its record."""
    found = client.series.get("nbody", host=HOST)
    usual, jit = found.series
    assert (usual.flags, jit.flags, usual.unit) == (("lto", "pgo"), ("jit", "lto", "pgo"), "second")
    (stretch,) = usual.stretches
    assert [point.results for point in stretch.points] == [(id,) for id in ids[:40]]
    assert [int(point.commit, 16) for point in stretch.points] == list(range(40))
    (change,) = stretch.changes
    assert (change.index, change.worse, change.status) == (24, True, "confirmed")
    assert change.step == pytest.approx(0.2, abs=0.01)
    assert change.change == "1.20x slower"
    record = client.regressions.get(change.regression or 0)
    assert (record.benchmark, record.result, record.result_before) == ("nbody", ids[24], ids[23])


def test_series_of_the_mean(client: Client) -> None:
    """All benchmarks together, relative to the first; what got slower and what got faster make up for each other."""
    usual, jit = client.series.get(host=HOST).series
    values = [point.value for point in usual.stretches[0].points]
    assert values[0] == 1.0
    assert values == pytest.approx([1.0] * 40, rel=0.02)
    assert usual.stretches[0].points[0].n == 3
    assert jit.stretches[0].points[0].n == 1


@pytest.mark.parametrize(
    ("asked", "lanes"),
    [
        ({"flags": ("jit",)}, [2]),
        ({"flags": ()}, [40]),
        ({"branch": "main"}, [40, 2]),
        ({"branch": "3.14"}, []),
        ({"target": "series", "flags": ("pgo", "lto")}, [40]),
        ({"since": "2027-01-15T08:00:30Z"}, [10, 2]),
        ({"host": "nowhere"}, []),
    ],
)
def test_narrowed(client: Client, asked: dict[str, Any], lanes: list[int]) -> None:
    """By flags, branch, target, time and host."""
    found = client.series.get("nbody", **{"host": HOST, **asked})
    assert [len(series.stretches[0].points) for series in found.series] == lanes


def test_csv(client: Client) -> None:
    """A line for each commit, with the step where the level changes."""
    rows = list(csv.DictReader(io.StringIO(client.series.csv("nbody", host=HOST, flags=()))))
    assert len(rows) == 40
    assert rows[0]["flags"] == "lto pgo"
    (changed,) = [row for row in rows if row["change"]]
    assert (int(changed["commit"], 16), changed["status"]) == (24, "confirmed")


def test_what_cannot_be_asked(client: Client, lab: "Lab") -> None:
    """Neither a benchmark nor the mean, both, and a time that is none."""
    for query in ("", "benchmark=nbody&mean=true", "benchmark=nbody&since=soon", "benchmark=nbody&host=a%00b"):
        assert lab.call("GET", f"/results/series?{query}", "ada").status_code == 400
    with pytest.raises(Invalid, match="a benchmark has a name"):
        client.series.get("")


def test_regressions(client: Client) -> None:
    """What has become worse by default, what has become better where asked; each has its own direction."""
    worse = [found.benchmark for found in client.regressions.list(host=HOST)]
    better = [found.benchmark for found in client.regressions.list(host=HOST, direction="better")]
    assert (worse, better) == (["nbody"], ["go"])
    assert [found.benchmark for found in client.regressions.list(host=HOST, benchmark="chaos")] == []
    assert list(client.regressions.list(host=HOST, mean=True)) == []


def test_life_by_people(client: Client, lab: "Lab") -> None:
    """Somebody says that it is known, who cares for it and why; a change that was not seen is not run over."""
    (found,) = client.regressions.list(host=HOST)
    said = found.modify(status="known", owner="ada", comment="PEP 1234\ncosts this")
    assert (said.status, said.owner, said.comment, said.changed_by) == ("known", "ada", "PEP 1234\ncosts this", "ada")
    (change,) = client.series.get("nbody", host=HOST, flags=()).series[0].stretches[0].changes
    assert (change.status, change.owner) == ("known", "ada")
    with pytest.raises(Invalid, match="there is no user 'nobody'"):
        found.modify(owner="nobody")
    answer = lab.call("PATCH", f"/regressions/{found.id}", "ada", json={"status": "new"}, headers={"If-Match": '"old"'})
    assert answer.status_code == 412
    assert lab.call("PATCH", f"/regressions/{found.id}", "ada", json={"status": "gone"}).status_code == 400
    other = client.regressions.get(found.id)
    other.modify(comment="theirs")
    with pytest.raises(Stale, match="comment of this Regression was changed meanwhile"):
        said.modify(comment="mine")
    assert said.refresh().modify(owner=None, comment="", status="confirmed").owner is None
    with pytest.raises(NotFound):
        client.regressions.get(999999)


def test_who_may(lab: "Lab", client: Client) -> None:
    """Viewers read, members say; nobody in particular reads where the lab lets all read, and says nothing."""
    (found,) = client.regressions.list(host=HOST)
    path = f"/regressions/{found.id}"
    assert lab.call("GET", path, "vic").status_code == 200
    assert lab.call("PATCH", path, "vic", json={"comment": "x"}).status_code == 403
    assert lab.call("GET", path).status_code == 200
    assert lab.call("PATCH", path, json={"comment": "x"}).status_code == 401
    assert lab.call("GET", path).json()["comment"] == found.comment


def test_command_series(
    lab: "Lab", client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line of bars, the last points, and the change however long ago it was."""
    out = cli(lab, monkeypatch, capsys, "series", "nbody", "--host", HOST, "--flags", "none", "--limit", "3")
    assert "series    nbody on series-host" in out
    assert "commits   40, 2026-03-01 to 2026-03-02" in out
    bars = next(line for line in out.splitlines() if line.startswith("level"))
    assert len(bars.split()[1]) == 40
    assert "1.20x slower, sure by 99.99 %, regression" in out
    assert "(the last 3 of 40 points, and those that changed it; --all shows all)" in out
    assert len(cli(lab, monkeypatch, capsys, "series", "--mean", "--host", HOST, "--all").splitlines()) > 50
    assert cli(lab, monkeypatch, capsys, "series", "none", "--host", HOST).startswith("There is no enabled result")
    assert cli(lab, monkeypatch, capsys, "series", "nbody", "--host", HOST, "--format", "csv").startswith("host,flags,")
    assert main(["result", "series"]) == main(["result", "series", "nbody", "--mean"]) == 2


def test_command_regressions(
    lab: "Lab", client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list, and what is said of one."""
    out = cli(lab, monkeypatch, capsys, "regressions", "--host", HOST)
    assert "nbody" in out
    assert "1.20x slower" in out
    (found,) = client.regressions.list(host=HOST)
    said = cli(lab, monkeypatch, capsys, "regression", str(found.id), "--status", "known", "--comment", "it is right")
    assert "status      known" in said
    assert "comment     it is right" in said
    assert cli(lab, monkeypatch, capsys, "regressions", "--host", HOST) == "no regressions\n"
    assert "known" in cli(lab, monkeypatch, capsys, "regressions", "--host", HOST, "--status", "all")
    assert "go" in cli(lab, monkeypatch, capsys, "regressions", "--host", HOST, "--better")
    assert '"items"' in cli(lab, monkeypatch, capsys, "regressions", "--host", HOST, "--json")


def test_pictures_of_series(client: Client, lab: "Lab") -> None:
    """As SVG and PNG, with what a browser may do with them."""
    assert b"nbody on series-host" in client.series.draw("svg", "nbody", host=HOST)
    assert client.series.draw("png", host=HOST, dark=True).startswith(b"\x89PNG")
    answer = lab.call("GET", f"/results/series.svg?benchmark=nbody&host={HOST}", "vic")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert b"no enabled result" in client.series.draw("svg", "nbody", host="nowhere")


def test_pictures_of_files(
    lab: "Lab",
    client: Client,
    real_results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two files that are not in the lab, as a comparison and one benchmark of it; what cannot be drawn is refused."""
    base, head = (str(path) for path in sorted(real_results.glob("bm-*/bm-*.json.gz"))[2:4])
    out = tmp_path / "comparison.svg"
    assert cli(lab, monkeypatch, capsys, "plot", base, head, "-o", str(out)).startswith(str(out))
    assert b"geometric mean" in out.read_bytes()
    cli(lab, monkeypatch, capsys, "plot", base, head, "--benchmark", "nbody", "--dark", "-o", str(tmp_path / "n.png"))
    assert (tmp_path / "n.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(NotFound, match="there is no benchmark 'none'"):
        client.results.draw("svg", Path(base), Path(head), benchmark="none")
    wrong = (["a", "b", "-o", "x.pdf"], ["a", "-o", "x.svg"], ["-o", "x.svg"], ["a", "b", "--mean", "-o", "x.svg"])
    assert [main(["result", "plot", *argv]) for argv in wrong] == [2] * 4
    assert lab.call("GET", "/results/compare.svg?base=1&head=1&head=2", "ada").status_code == 400
