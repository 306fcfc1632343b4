"""Results over REST, with two real files in the lab."""

import gzip
import hashlib
import json
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchyard.results.files import store_file
from benchyard.results.layout import path_of_run
from benchyard.store import calibrations, epochs, filed, jobs, results
from benchyard.store.rows import Noise

if TYPE_CHECKING:
    from tests.web.conftest import Lab


@pytest.fixture(scope="module")
def stored(lab: "Lab", real_results: Path) -> dict[int, bytes]:
    """Two real results of the lab, oldest first: their bytes by id."""
    found = {}
    for source in sorted(real_results.glob("bm-*/bm-*.json.gz"))[:2]:
        data = gzip.decompress(source.read_bytes())
        interpreter = {"id": hashlib.sha256(data).hexdigest(), "version": "3.16.0a0", "machine": "aarch64"}
        place = path_of_run(interpreter, host="sulaco", started=1795345200.0)
        file = store_file(lab.root / "results", place, data)
        with lab.engine().begin() as conn:
            job = jobs.create_job(
                conn,
                now=1.0,
                who="ada",
                kind="benchmarks",
                target="macos",
                host=None,
                spec={"python": "/p", "benchmarks": [], "selection": [], "mode": "default", "affinity": None},
                owner="ada",
                origin="rest",
                reason="",
                status="success",
            )
            row = results.add_result(
                conn,
                now=1795345200.0,
                who="lab",
                job_id=job.id,
                attempt=1,
                host="sulaco",
                target="macos",
                interpreter=interpreter,
                commit=None,
                branch=None,
                version="3.16.0a0",
                flags=("jit",),
                suite="pyperformance",
                suite_version="1.14.0",
                mode="default",
                path=str(file.path),
                sha256=file.sha256,
                size=file.size,
                benchmarks=98,
                failed=({"name": "2to3", "error": "killed by signal 11", "log_tail": "boom"},),
                grade="B",
                grade_reasons=("a virtual machine",),
                fingerprint={"host": {"cpu": "z80"}},
                fingerprint_id="ab",
            )
        found[row.id] = data
    return found


def test_result(lab: "Lab", stored: dict[int, bytes]) -> None:
    """A result's row tells what it is, which job it is of, and what failed; its file comes byte for byte."""
    for number, data in stored.items():
        result = lab.call("GET", f"/results/{number}").json()
        assert (result["id"], result["host"], result["flags"]) == (number, "sulaco", ["jit"])
        assert (result["status"], result["created"]) == ("stored", "2026-11-22T11:00:00.000Z")
        assert result["failed"] == [{"name": "2to3", "error": "killed by signal 11", "log_tail": ""}]
        assert (result["grade"], result["grade_reasons"]) == ("B", ["a virtual machine"])
        assert (result["fingerprint"], result["fingerprint_id"]) == ({"host": {"cpu": "z80"}}, "ab")
        assert (result["kind"], result["epoch"]) == ("benchmarks", None)
        assert lab.call("GET", f"/jobs/{result['job']}").json()["results"] == [number]
        answer = lab.call("GET", f"/results/{number}/file")
        assert answer.content == data
        assert answer.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'


def test_lists(lab: "Lab", stored: dict[int, bytes]) -> None:
    """Results are listed newest first, by host, target and job, and page by page."""
    ids = sorted(stored, reverse=True)
    for query in ("host=sulaco", "target=macos"):
        assert [row["id"] for row in lab.call("GET", f"/results?{query}").json()["items"]] == ids
    everything = [row["id"] for row in lab.call("GET", "/results").json()["items"]]
    assert set(ids) <= set(everything) and everything == sorted(everything, reverse=True)
    row = lab.call("GET", "/results?host=sulaco&limit=1").json()["items"][0]
    assert (row["grade"], row["fingerprint_id"], row["fingerprint"]) == ("B", "ab", None)
    assert lab.call("GET", "/results?host=nobody").json() == {"items": [], "next": None}
    page = lab.call("GET", "/results?host=sulaco&limit=1").json()
    assert ([row["id"] for row in page["items"]], page["next"]) == ([ids[0]], str(ids[0]))
    page = lab.call("GET", f"/results?host=sulaco&limit=1&cursor={page['next']}").json()
    assert ([row["id"] for row in page["items"]], page["next"]) == ([ids[1]], None)


def test_comparison(lab: "Lab", stored: dict[int, bytes]) -> None:
    """Two results are compared benchmark by benchmark and overall; one with itself does not differ."""
    base, head = stored
    found = lab.call("GET", "/results/compare", params={"base": base, "head": head}).json()
    assert (found["base"]["id"], found["head"]["id"]) == (base, head)
    overall = found["geometric_mean"]
    assert 0 < overall["n"] == len(found["benchmarks"]) <= overall["of"]
    assert {"name", "base", "head", "ratio", "change", "significant"} <= set(found["benchmarks"][0])
    same = lab.call("GET", "/results/compare", params={"base": base, "head": base}).json()
    assert same["geometric_mean"]["ratio"] == pytest.approx(1.0)
    assert not any(row["significant"] for row in same["benchmarks"])


def test_noise_in_a_comparison(lab: "Lab", stored: dict[int, bytes]) -> None:
    """What is known of the noise of the head's host and epoch stands beside each change."""
    base, head = stored
    with lab.engine().begin() as conn:
        epochs.place_result(conn, head, fingerprint={"kernel": "6.1"}, host_fingerprint="ab", measured=1.0, now=2.0)
        calibrations.put_noise(conn, "sulaco", 1, [Noise("sulaco", 1, "nbody", 1e6, 5, 0.1, "second", 1.0)])
    found = lab.call("GET", "/results/compare", params={"base": base, "head": head}).json()
    noise = {row["name"]: (row["noise"], row["within_noise"]) for row in found["benchmarks"]}
    assert noise["nbody"] == (1e6, True)
    assert {pair for name, pair in noise.items() if name != "nbody"} == {(None, False)}
    back = lab.call("GET", "/results/compare", params={"base": head, "head": base}).json()
    assert {row["noise"] for row in back["benchmarks"]} == {None}


def test_noise_in_a_matrix(lab: "Lab", stored: dict[int, bytes]) -> None:
    """Each pair is judged with the noise of its head's host, which need not be that of the way back."""
    base, head = stored
    asked = {"include_different": "true"}
    found = lab.call("GET", "/results/compare", params={"base": base, "head": head}).json()
    with lab.engine().begin() as conn:
        epochs.place_result(conn, head, fingerprint={"kernel": "6.1"}, host_fingerprint="ab", measured=1.0, now=2.0)
        noisy = [Noise("sulaco", 1, row["name"], 1e6, 5, 0.1, "second", 1.0) for row in found["benchmarks"]]
        calibrations.put_noise(conn, "sulaco", 1, noisy)
    counts = []
    for cell in lab.call("GET", "/results/matrix", params={"base": [base, head], **asked}).json()["cells"]:
        sides = {"base": [base, head][cell["base"]], "head": [base, head][cell["head"]]}
        pair = lab.call("GET", "/results/compare", params={**sides, **asked}).json()
        assert cell["counts"] == pair["counts"], sides
        counts.append(pair["counts"]["same"])
    assert counts[0] == len(found["benchmarks"]) > counts[1]


def test_grade_of_a_file_that_is_added(lab: "Lab", stored: dict[int, bytes]) -> None:
    """A file that a lab has measured says itself how far it can be trusted; it opens no epoch here."""
    document = json.loads(stored[min(stored)])
    said = {"grade": "C", "grade_reasons": "disturbed: nbody; not pinned", "fingerprint": "cd", "kernel": "6.1"}
    document["metadata"] |= {f"benchyard_{name}": text for name, text in said.items()}
    row = lab.call("POST", "/results", "ada", json={"host": "elsewhere"}).json()
    assert (row["grade"], row["grade_reasons"]) == (None, [])
    answer = lab.call("PUT", f"/results/{row['id']}/file", "ada", content=json.dumps(document).encode())
    assert answer.status_code == 200, answer.text
    row = answer.json()
    assert (row["grade"], row["grade_reasons"]) == ("C", ["disturbed: nbody", "not pinned"])
    assert (row["fingerprint_id"], row["fingerprint"], row["epoch"]) == ("cd", {"host": {"kernel": "6.1"}}, None)
    other = lab.call("POST", "/results", "ada", json={"host": "elsewhere-2"}).json()
    answer = lab.call("PUT", f"/results/{other['id']}/file", "ada", content=json.dumps(document).encode())
    told = f"result {row['id']} has this very file already: use that one"
    assert (answer.status_code, answer.json()["detail"]) == (409, told)
    assert not list((lab.root / "results").rglob("*elsewhere_2*"))
    for number in (row["id"], other["id"]):
        assert lab.call("DELETE", f"/results/{number}", "ada").status_code == 200


def test_measurements(lab: "Lab", stored: dict[int, bytes]) -> None:
    """What each benchmark gave is told by name, as the file has it; a result without its file has none yet."""
    document = json.loads(stored[min(stored)])
    values = [run["values"] for run in document["benchmarks"][0]["runs"] if "values" in run]
    name = document["benchmarks"][0]["metadata"]["name"]
    row = lab.call("POST", "/results", "ada", json={"host": "measured"}).json()
    assert lab.call("GET", f"/results/{row['id']}/measurements").json() == {"items": [], "next": None}
    data = json.dumps(document | {"benchmarks": document["benchmarks"][:3]}).encode()
    row = lab.call("PUT", f"/results/{row['id']}/file", "ada", content=data).json()
    items = lab.call("GET", f"/results/{row['id']}/measurements").json()["items"]
    assert len(items) == row["benchmarks"] == 3
    assert [item["name"] for item in items] == sorted(item["name"] for item in items)
    (found,) = (item for item in items if item["name"] == name)
    flat = [value for run in values for value in run]
    assert (found["n"], found["unit"]) == (len(flat), "second")
    assert (found["minimum"], found["maximum"]) == (min(flat), max(flat))
    assert (found["mean"], found["median"]) == pytest.approx((statistics.mean(flat), statistics.median(flat)))
    assert found["stdev"] == pytest.approx(statistics.stdev(flat))
    assert lab.call("GET", "/results/99999/measurements").status_code == 404
    assert lab.call("DELETE", f"/results/{row['id']}", "ada").status_code == 200


def test_files_at_once(lab: "Lab", stored: dict[int, bytes]) -> None:
    """Of different files that are attached at once one is kept; of those refused nothing stays that could be found."""
    document = json.loads(stored[min(stored)])
    row = lab.call("POST", "/results", "ada", json={"host": "at-once"}).json()
    parts = [json.dumps(document | {"benchmarks": [one]}).encode() for one in document["benchmarks"][:8]]

    def put(data: bytes) -> int:
        return lab.call("PUT", f"/results/{row['id']}/file", "ada", content=data).status_code

    with ThreadPoolExecutor(len(parts)) as pool:
        assert sorted(pool.map(put, parts)) == [200] + [409] * 7
    row = lab.call("GET", f"/results/{row['id']}").json()
    (kept,) = (lab.root / "results").rglob("*at_once*")
    assert kept == lab.root / "results" / row["path"]
    assert lab.call("GET", f"/results/{row['id']}/file").content in parts
    assert lab.call("DELETE", f"/results/{row['id']}", "ada").status_code == 200


def test_one_content_at_once(lab: "Lab", stored: dict[int, bytes]) -> None:
    """A file that is imported under several names at once, or given to several results, is kept once."""
    document = json.loads(stored[min(stored)])
    data = json.dumps(document | {"benchmarks": document["benchmarks"][:2]}).encode()
    results = lab.root / "results"

    def bring(name: str) -> str:
        return str(lab.call("PUT", "/results/import", "ada", params={"name": name}, content=data).json()["outcome"])

    names = [
        f"bm-2026050{day}-3.16-49918f5/bm-2026050{day}-twice-arm-python-main-3.16-49918f5.json" for day in range(1, 9)
    ]
    with ThreadPoolExecutor(len(names)) as pool:
        assert sorted(pool.map(bring, names)) == ["imported"] + ["known"] * 7
    (imported,) = lab.call("GET", "/results?host=twice").json()["items"]
    assert [str(path.relative_to(results)) for path in results.rglob("*-twice-*")] == [imported["path"]]
    assert lab.call("DELETE", f"/results/{imported['id']}", "ada").status_code == 200

    ids = [lab.call("POST", "/results", "ada", json={"host": "again-2"}).json()["id"] for _ in names]

    def put(number: int) -> int:
        return lab.call("PUT", f"/results/{number}/file", "ada", content=data).status_code

    with ThreadPoolExecutor(len(ids)) as pool:
        assert sorted(pool.map(put, ids)) == [200] + [409] * 7
    (one,) = (row for row in lab.call("GET", "/results?host=again-2").json()["items"] if row["path"])
    assert [path.relative_to(results).as_posix() for path in results.rglob("*-again_2-*")] == [one["path"]]
    for number in ids:
        assert lab.call("DELETE", f"/results/{number}", "ada").status_code == 200


def test_removed_and_made_again(lab: "Lab", stored: dict[int, bytes]) -> None:
    """Each of two results of one path keeps its own file in the trash, and removing one again takes no other's."""
    document = json.loads(stored[min(stored)])
    interpreter = {"version": "3.16.0a0", "machine": "aarch64", "id": "ab" * 32}
    files: list[tuple[str, bytes]] = []
    ids: list[int] = []
    for part in (document["benchmarks"][:1], document["benchmarks"][1:2]):
        data = json.dumps(document | {"benchmarks": part}).encode()
        kept = store_file(lab.root / "results", path_of_run(interpreter, host="again", started=0.0), data)
        with lab.engine().begin() as conn:
            row = results.new_result(
                conn, now=1.0, who="ada", owner="ada", host="again", target=None, commit=None, branch=None
            )
            filed.attach_file(
                conn, row.id, now=1.0, who="ada", path=kept.path, sha256=kept.sha256, size=kept.size, version=None,
                interpreter=None, flags=(), suite=None, suite_version=None, mode=None, benchmarks=1,
            )  # fmt: skip
        for number in [*ids, row.id][:1]:  # the first again, where there is one
            assert lab.call("DELETE", f"/results/{number}", "ada").status_code == 200
        files.append((kept.path, data))
        ids.append(row.id)
    assert files[0][0] == files[1][0]
    assert lab.call("GET", f"/results/{ids[1]}/file").content == files[1][1]
    assert lab.call("DELETE", f"/results/{ids[1]}", "ada").status_code == 200
    for number, (_, data) in zip(ids, files, strict=True):
        assert lab.call("GET", f"/results/{number}/file").content == data


def test_file_is_gone(lab: "Lab", stored: dict[int, bytes]) -> None:
    """A file that somebody took out of the results folder is named."""
    number = max(stored)
    path = lab.root / "results" / lab.call("GET", f"/results/{number}").json()["path"]
    hidden = path.rename(path.with_suffix(".hidden"))
    try:
        answer = lab.call("GET", f"/results/{number}/file")
    finally:
        hidden.rename(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert path.name in answer.json()["detail"]
