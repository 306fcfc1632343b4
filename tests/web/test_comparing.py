"""Comparisons over REST: names, pools, files that are sent along, many with many, and what differs besides."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from measuredlab import around, pyperf_file

from benchyard.cli import main
from benchyard.client import Client, NotFound
from benchyard.results.files import store_file
from benchyard.results.layout import path_of_run
from benchyard.store import epochs, jobs, results
from benchyard.web.calls import Route
from benchyard.web.openapi import document
from benchyard.web.routes import ROUTES

if TYPE_CHECKING:
    from tests.web.conftest import Lab

HOST = "comparer"
COMMITS = [f"{number:x}" * 40 for number in range(10, 15)]


@pytest.fixture(scope="module")
def files(real_results: Path) -> list[bytes]:
    """Real results of default builds, by date."""
    found = sorted(path for path in real_results.glob("bm-*/bm-*.json.gz") if "JIT" not in str(path))
    return [gzip.decompress(path.read_bytes()) for path in found[1:6]]


@pytest.fixture(scope="module")
def ids(lab: "Lab", files: list[bytes]) -> list[int]:
    """Results of the lab: two of the first interpreter, one of the second, one of the third in another epoch."""
    made = [(0, "linux 6.1", "A"), (0, "linux 6.1", "A"), (1, "linux 6.1", "A"), (2, "linux 6.5", "C")]
    return [add(lab, data, which, *rest) for data, (which, *rest) in zip(files, made, strict=False)]


def add(lab: "Lab", data: bytes, which: int, kernel: str, grade: str) -> int:
    """A result that a job of the lab has left."""
    interpreter = {"id": f"id-{which}", "version": "3.16.0a0", "machine": "aarch64"}
    file = store_file(lab.root / "results", path_of_run(interpreter, host=HOST, started=1795345200.0), data)
    with lab.engine().begin() as conn:
        job = jobs.create_job(
            conn,
            now=1.0,
            who="ada",
            kind="benchmarks",
            target="comparing",
            host=None,
            spec={"python": "/p", "benchmarks": [], "selection": [], "mode": "default", "affinity": None},
            owner="ada",
            origin="rest",
            reason="",
            status="success",
        )
        row = results.add_result(
            conn,
            now=1795345200.0 + job.id,
            who="lab",
            job_id=job.id,
            attempt=1,
            host=HOST,
            target="comparing",
            interpreter=interpreter,
            commit=COMMITS[which],
            branch=f"branch-{which}",
            version="3.16.0a0",
            flags=("jit",),
            suite="pyperformance",
            suite_version="1.14.0",
            mode="default",
            path=str(file.path),
            sha256=file.sha256,
            size=file.size,
            benchmarks=98,
            failed=(),
            grade=grade,
            grade_reasons=("disturbed: nbody",) if grade == "C" else (),
            fingerprint={"host": {"kernel": kernel}},
            fingerprint_id="ab",
        )
        epochs.place_result(
            conn, row.id, fingerprint={"kernel": kernel}, host_fingerprint=kernel, measured=1.0 + job.id, now=2.0
        )
    return row.id


def compared(lab: "Lab", who: str | None = None, **params: Any) -> Any:
    """What two or more are compared to."""
    answer = lab.call("GET", "/results/compare", who, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_whole_comparison(lab: "Lab", ids: list[int]) -> None:
    """Beside pyperf's numbers there are verdicts with intervals, the reliability, counts, tags and memory."""
    found = compared(lab, base=ids[0], head=ids[2])
    assert (found["base_results"], found["head_results"]) == ([ids[0]], [ids[2]])
    assert found["geometric_mean"]["n"] == found["geometric_mean"]["of"] == len(found["benchmarks"]) == 122
    assert sum(found["counts"].values()) == 122
    assert 0.0 <= found["reliability"]["faster"] <= 1.0 and "reliab" in found["reliability"]["change"]
    for row in found["benchmarks"]:
        assert row["low"] < row["ratio"] < row["high"] and row["verdict"] in ("better", "worse", "same")
        assert row["memory"]["base"] > 1e6 and row["counted"]
    assert {"apps", "asyncio", "serialize"} <= {group["tag"] for group in found["groups"]}
    assert found["memory"]["n"] == 122 and found["differences"] == found["marks"] == found["more"] == []
    assert 0.005 < found["assumed_noise"] < 0.04


def test_names_and_pools(lab: "Lab", ids: list[int]) -> None:
    """A branch or a commit stands for all results of its interpreter, unless its newest alone is asked for."""
    found = compared(lab, base="branch-0", head=COMMITS[1][:9])
    assert (found["base_results"], found["head_results"]) == ([ids[1], ids[0]], [ids[2]])
    one, other = (compared(lab, base=number, head=ids[2])["benchmarks"][0] for number in ids[:2])
    pooled = found["benchmarks"][0]
    assert pooled["base"]["n"] == one["base"]["n"] + other["base"]["n"]
    assert min(one["ratio"], other["ratio"]) < pooled["ratio"] < max(one["ratio"], other["ratio"])
    single = compared(lab, base="branch-0", head=f"{COMMITS[1][:9]}@{HOST}+jit", single="true")
    assert (single["base_results"], single["benchmarks"][0]) == ([ids[1]], other)


def test_names_that_are_refused(lab: "Lab", ids: list[int]) -> None:
    """What means nothing, or several things, is refused with what could be meant."""
    answer = lab.call("GET", "/results/compare", params={"base": ids[0], "head": "nothing-such"})
    assert answer.status_code == 404 and "there is no enabled result 'nothing-such'" in answer.json()["detail"]
    answer = lab.call("GET", "/results/compare", params={"base": "python:3.16.0a0@" + HOST, "head": ids[0]})
    assert answer.status_code == 200
    with lab.engine().begin() as conn:
        results.modify_result(conn, ids[3], now=3.0, who="ada", commit=COMMITS[1])
    try:
        answer = lab.call("GET", "/results/compare", params={"base": ids[0], "head": COMMITS[1]})
        assert answer.status_code == 400
        assert f"could be result {ids[3]} (bbbbbbbbbb@{HOST}+jit), result {ids[2]}" in answer.json()["detail"]
    finally:
        with lab.engine().begin() as conn:
            results.modify_result(conn, ids[3], now=4.0, who="ada", commit=COMMITS[2])
    for params in ({"base": "", "head": "1"}, {"base": "1"}, {"base": "1", "head": ["1"] * 33}):
        assert lab.call("GET", "/results/compare", params=params).status_code == 400


def test_one_with_several(lab: "Lab", ids: list[int]) -> None:
    """Further heads are compared with the same base, each as if it were the only one."""
    found = compared(lab, base=ids[0], head=ids[1:3])
    assert [found["head"]["id"], *(more["head"]["id"] for more in found["more"])] == ids[1:3]
    assert found["more"] == [compared(lab, base=ids[0], head=ids[2])]


def test_what_differs_besides_does_not_count(lab: "Lab", ids: list[int]) -> None:
    """Another kernel and grade are named, and nothing counts overall unless it is asked for."""
    found = compared(lab, base=ids[0], head=ids[3])
    assert found["differences"] == ["grade A against C", "kernel linux 6.1 against linux 6.5"]
    assert found["marks"] == ["head is of grade C: disturbed: nbody"]
    assert (found["geometric_mean"], found["reliability"], found["groups"]) == (None, None, [])
    assert not any(row["counted"] for row in found["benchmarks"]) and len(found["benchmarks"]) == 122
    asked = compared(lab, base=ids[0], head=ids[3], include_different="true")
    assert asked["geometric_mean"]["n"] == 122 and asked["differences"] == found["differences"]
    assert asked["benchmarks"][0]["ratio"] == found["benchmarks"][0]["ratio"]


def test_nothing_counts_is_no_success(
    lab: "Lab", ids: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`result compare --fail-if-worse` fails in one line where all that there is differs in more."""
    monkeypatch.setenv("BENCHYARD_URL", lab.url)
    monkeypatch.setenv("BENCHYARD_TOKEN", lab.tokens["ada"])
    line = ["result", "compare", str(ids[0]), str(ids[3])]
    assert (main(line), main([*line, "--fail-if-worse"])) == (0, 1)
    differences = "grade A against C, kernel linux 6.1 against linux 6.5"
    counting = "--include-different counts them nevertheless"
    assert capsys.readouterr().err == f"benchyard: nothing could be compared; different: {differences} ({counting})\n"


#: A file that pyperf takes, and no lab.
TABBED = rb"""{"new.json": {"version": "1.0", "metadata": {"name": "nbody", "hostname": "a\tb"},
    "benchmarks": [{"runs": [{"values": [1.0, 1.1]}]}]}}"""


def test_a_file_that_is_not_in_the_lab(lab: "Lab", ids: list[int], files: list[bytes]) -> None:
    """A file that is sent along compares as if it were a result, and leaves nothing in the lab."""
    count = len(lab.call("GET", "/results?limit=500").json()["items"])
    body = b'{"new.json": ' + files[2] + b"}"
    params = {"base": str(ids[0]), "head": "file:new.json"}
    answer = lab.call("POST", "/results/compare", "ada", params=params, content=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["head"]["id"], found["head"]["path"], found["head_results"]) == (0, "new.json", [])
    assert found["head"]["version"] == "3.16.0a0"
    stored = compared(lab, base=ids[0], head=ids[2])
    assert found["benchmarks"] == stored["benchmarks"] and found["reliability"] == stored["reliability"]
    assert len(lab.call("GET", "/results?limit=500").json()["items"]) == count

    for content, params_, status, words in (
        (body, {**params, "head": "file:other.json"}, 400, "the file 'other.json' was not sent along"),
        (b'{"new.json": {"benchmarks": 1}}', params, 422, "new.json: the result file is not pyperf's"),
        (TABBED, params, 422, "new.json: the result file's metadata hostname has control characters"),
        (b'{"new.json": {"version": "1.0"', params, 400, "not a JSON object of pyperf files"),
        (files[2], params, 400, "the file 'new.json' was not sent along"),
        (b" " * 40_000_001, params, 413, "more than 40000000 bytes"),
    ):
        answer = lab.call("POST", "/results/compare", "ada", params=params_, content=content)
        assert answer.status_code == status and words in answer.json()["detail"], answer.text
    assert lab.call("POST", "/results/compare", "vic", params=params, content=body).status_code == 403


FILES_ONLY = [route for route in ROUTES if route.method == "POST" and route.raw]


@pytest.mark.parametrize("route", FILES_ONLY, ids=lambda route: route.path)
def test_what_changes_nothing_needs_no_key(lab: "Lab", route: Route) -> None:
    """Files are compared or drawn again for the same Idempotency-Key, of which the document says nothing."""
    files = {name: json.loads(pyperf_file({"a": around(mean)})) for name, mean in (("old", 1.0), ("new", 1.2))}
    params = {"base": "file:old", "head": "file:new"} | ({"benchmark": "a"} if "distribution" in route.path else {})
    key = {"Idempotency-Key": f"the-same-for-{route.path}"}
    asked: dict[str, Any] = {"params": params, "json": files}
    plain, first, again = (lab.call("POST", route.path, "ada", headers=how, **asked) for how in ({}, key, key))
    assert plain.status_code == first.status_code == again.status_code == 200, again.text
    kinds = [{**answer.headers, "date": ""} for answer in (plain, first, again)]
    assert kinds[0] == kinds[1] == kinds[2]
    named = [each["name"] for each in document(ROUTES)["paths"][route.path]["post"]["parameters"]]
    assert "base" in named and "Idempotency-Key" not in named


def test_what_names_of_files_tell(lab: "Lab", files: list[bytes]) -> None:
    """Suite and conditions that only the names of PORTAL's files tell are compared, too."""
    names = [f"cpython-3.10.4-9d38120e33-fc_linux-{id}.json" for id in ("42d6dd4409cb", "b2cf916db80e-pyston")]
    params = {"base": f"file:{names[0]}", "head": f"file:{names[1]}"}
    body = b",".join(json.dumps(name).encode() + b":" + data for name, data in zip(names, files, strict=False))
    found = lab.call("POST", "/results/compare", "ada", params=params, content=b"{" + body + b"}").json()
    assert set(found["differences"]) >= {
        "suite pyperformance against pyston",
        "fingerprint portal:42d6dd4409cb against portal:b2cf916db80e",
    }


def test_many_with_many(lab: "Lab", ids: list[int]) -> None:
    """Each is compared with each other, and the numbers are those of the pair; the way back is the inverse."""
    found = lab.call("GET", "/results/matrix", params={"base": ids}).json()
    assert [side["id"] for side in found["sides"]] == ids
    cells = {(ids[cell["base"]], ids[cell["head"]]): cell for cell in found["cells"]}
    assert set(cells) == {(one, other) for one in ids for other in ids if one != other}
    pair, cell = compared(lab, base=ids[0], head=ids[2]), cells[ids[0], ids[2]]
    assert (cell["ratio"], cell["counts"]) == (pair["geometric_mean"]["ratio"], pair["counts"])
    assert cell["faster"] == pair["reliability"]["faster"] and (cell["n"], cell["of"]) == (122, 122)
    back = cells[ids[2], ids[0]]
    assert back["ratio"] == pytest.approx(1.0 / cell["ratio"])
    assert back["counts"]["better"] == cell["counts"]["worse"]
    assert cells[ids[0], ids[3]]["ratio"] is None and cells[ids[0], ids[3]]["differences"]
    some = lab.call("GET", "/results/matrix", params={"base": ids[0], "head": ids[1:3]}).json()
    assert [(cell["base"], cell["head"]) for cell in some["cells"]] == [(0, 1), (0, 2)]


def test_the_way_back_is_in_its_own_words(lab: "Lab", ids: list[int]) -> None:
    """It is larger where the way there is smaller, and what differs is said of base and head in this order."""

    def memory(size: float) -> bytes:
        runs = [{"values": [size, size + 1.0, size + 2.0]}]
        return json.dumps(
            {"version": "1.0", "benchmarks": [{"metadata": {"name": "a", "unit": "byte"}, "runs": runs}]}
        ).encode()

    small, large = (add(lab, memory(size), which, "linux 6.1", "B") for which, size in ((3, 1e6), (4, 2e6)))
    found = lab.call("GET", "/results/matrix", params={"base": [small, large, ids[0], ids[3]]}).json()
    cells = {(cell["base"], cell["head"]): cell for cell in found["cells"]}
    assert (cells[0, 1]["change"], cells[1, 0]["change"]) == ("2.00x larger", "2.00x smaller")
    assert cells[2, 3]["differences"] == ["grade A against C", "kernel linux 6.1 against linux 6.5"]
    assert cells[3, 2]["differences"] == ["grade C against A", "kernel linux 6.5 against linux 6.1"]


def test_csv(lab: "Lab", ids: list[int]) -> None:
    """A line for each benchmark of each head, with whole numbers."""
    answer = lab.call("GET", "/results/compare.csv", params={"base": ids[0], "head": ids[1:3]})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 244 and [rows[0]["head"], rows[122]["head"]] == [str(ids[1]), str(ids[2])]
    for row, change in zip(rows[122:], compared(lab, base=ids[0], head=ids[2])["benchmarks"], strict=True):
        assert (row["benchmark"], float(row["ratio"]), float(row["p"])) == (
            *(change["name"], change["ratio"], change["p"]),
        )
        assert float(row["head_mean"]) == change["head"]["mean"] and row["verdict"] == change["verdict"]


def test_markdown(lab: "Lab", ids: list[int], files: list[bytes]) -> None:
    """What an issue takes: the headline, what was compared, each benchmark, and what is to be said overall."""
    answer = lab.call("GET", "/results/compare.md", params={"base": "branch-0", "head": ids[3]})
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    for line in (
        "Different besides the interpreter: `grade A against C`, `kernel linux 6.1 against linux 6.5`",
        "- `head is of grade C: disturbed: nbody`",
    ):
        assert answer.text.splitlines().count(line) == 1
    assert f"| result | `results {ids[1]}, {ids[0]}` | `result {ids[3]}` |" in answer.text.splitlines()
    params = {"base": str(ids[0]), "head": "file:x.json"}
    answer = lab.call("POST", "/results/compare.md", "ada", params=params, content=json.dumps({"x.json": None}))
    assert answer.status_code == 422
    answer = lab.call("POST", "/results/compare.md", "ada", params=params, content=b'{"x.json": ' + files[2] + b"}")
    assert "| `nbody` |" in answer.text and "- overall: " in answer.text and "| tag | geometric mean |" in answer.text


def test_from_the_client(lab: "Lab", ids: list[int], files: list[bytes], tmp_path: Path) -> None:
    """The library compares by name, by number, and files, and makes structs of all that the lab says."""
    (tmp_path / "new.json").write_bytes(files[2])
    with Client(lab.url, token=lab.tokens["ada"]) as client:
        found = client.results.compare("branch-0", ids[2], tmp_path / "new.json", single=True)
        assert (found.base_results, found.head.id, found.more[0].head.id) == ((ids[1],), ids[2], 0)
        assert found.more[0].base.read() == files[1]
        assert found.reliability is not None and found.counts.same > 0
        assert found.benchmarks[0].memory is not None and found.benchmarks[0].p is not None
        matrix = client.results.matrix(*ids[:3])
        assert len(matrix.cells) == 6 and matrix.sides[0].read() == files[0]
        assert client.results.compare_as("csv", ids[0], ids[2]).count("\n") == 123
        with pytest.raises(NotFound, match="no enabled result 'nothing-such'"):
            client.results.compare("nothing-such", 1)
