"""Files that belong to a result, over REST."""

import hashlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from benchyard.client import Client
from benchyard.results.attachments import Attachment, store_attachment
from benchyard.results.files import store_file
from benchyard.store import jobs, results

if TYPE_CHECKING:
    from tests.web.conftest import Lab

HOSTILE = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(document.cookie)</script></svg>\n'
STACKS = b"main (a.py:1);f 3\n"


@pytest.fixture(scope="module")
def profile(lab: "Lab", tmp_path_factory: pytest.TempPathFactory) -> int:
    """The number of a profile that somebody's program has left, with what it likes in it."""
    root = lab.root / "results"
    file = store_file(root, PurePosixPath("bm-20261122-3.15.0-abc/bm-x.profile"), b'{"benchmarks": []}')
    for name, data in (("nbody.svg", HOSTILE), ("nbody.folded", STACKS), ("page.html", HOSTILE)):
        source = tmp_path_factory.mktemp("left") / name
        source.write_bytes(data)
        said = Attachment(name, len(data), hashlib.sha256(data).hexdigest())
        store_attachment(root, file.path, said, source)
    spec: dict[str, Any] = {"python": "/p", "benchmarks": [], "selection": [], "mode": "fast", "affinity": None}
    with lab.engine().begin() as conn:
        job = jobs.create_job(
            conn,
            now=1.0,
            who="ada",
            kind="profile",
            target="plan9",
            host=None,
            spec=spec,
            owner="ada",
            origin="rest",
            reason="",
            status="success",
        )
        row = results.add_result(
            conn,
            now=1.0,
            who="lab",
            job_id=job.id,
            attempt=1,
            host="nostromo",
            target="plan9",
            interpreter={"id": "x", "version": "3.15.0", "machine": "x86_64"},
            commit=None,
            branch=None,
            version="3.15.0",
            flags=(),
            suite="pyperformance",
            suite_version="1.14.0",
            mode="fast",
            path=file.path,
            sha256=file.sha256,
            size=file.size,
            benchmarks=1,
        )
    return row.id


def test_list(lab: "Lab", profile: int) -> None:
    """The files of a result are listed by name, with what they are taken for and their hashes."""
    listed = lab.call("GET", f"/results/{profile}/attachments").json()
    assert listed["next"] is None
    assert [(file["name"], file["content_type"]) for file in listed["items"]] == [
        ("nbody.folded", "text/plain; charset=utf-8"),
        ("nbody.svg", "image/svg+xml"),
        ("page.html", "application/octet-stream"),
    ]
    assert listed["items"][1]["sha256"] == hashlib.sha256(HOSTILE).hexdigest()


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("nbody.svg", HOSTILE, "image/svg+xml"),
        ("nbody.folded", STACKS, "text/plain; charset=utf-8"),
        ("page.html", HOSTILE, "application/octet-stream"),
    ],
)
def test_nothing_in_it_is_run(lab: "Lab", profile: int, name: str, data: bytes, kind: str) -> None:
    """A file comes byte for byte, as what its name says, sandboxed: no script of it has the lab's address."""
    answer = lab.call("GET", f"/results/{profile}/attachments/{name}")
    assert answer.content == data
    assert answer.headers["content-type"] == kind
    assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'


def test_export(lab: "Lab", profile: int, tmp_path: Path) -> None:
    """They are written beside their result, byte for byte; what is cut off is gone on with, and done twice is done."""
    with Client(lab.url, token=lab.tokens["ada"]) as client:
        result = client.results.get(profile)
        place = "bm-20261122-3.15.0-abc/bm-x.profile"
        assert [(one.file, one.outcome) for one in client.results.export_to(tmp_path, [result])] == [
            (place, "exported")
        ]
        files = {path.name: path.read_bytes() for path in (tmp_path / f"{place}.d").iterdir()}
        assert files == {"nbody.svg": HOSTILE, "nbody.folded": STACKS, "page.html": HOSTILE}
        assert (tmp_path / place).read_bytes() == result.read()
        (tmp_path / f"{place}.d" / "nbody.svg").unlink()
        assert [one.outcome for one in client.results.export_to(tmp_path, [result])] == ["known"]
        assert (tmp_path / f"{place}.d" / "nbody.svg").read_bytes() == HOSTILE


@pytest.mark.parametrize("name", ["nbody", "%2e%2e%2fbm-x.profile", "..%2fbm-x.profile", "nbody.svg%00"])
def test_other_names(lab: "Lab", profile: int, name: str) -> None:
    """There is nothing of another name, nor a way out of the folder."""
    assert lab.call("GET", f"/results/{profile}/attachments/{name}").status_code == 404


def test_result_without_a_file(lab: "Lab") -> None:
    """A result that has no file yet has no attachments either."""
    number = lab.call("POST", "/results", "ada", json={"host": "far"}).json()["id"]
    assert lab.call("GET", f"/results/{number}/attachments").status_code == 404


def test_profiles_are_not_compared(lab: "Lab", profile: int) -> None:
    """A profile has no values, and that is said in one line."""
    answer = lab.call("GET", "/results/compare", params={"base": profile, "head": profile})
    assert answer.status_code == 409
    assert answer.json()["detail"] == f"result {profile} is a profile: it has no values to compare; name one of times"


def test_closed_lab(closed_lab: "Lab") -> None:
    """Where strangers may not read, they see no files either."""
    for path in ("/results/1/attachments", "/results/1/attachments/nbody.svg"):
        assert closed_lab.call("GET", path).status_code == 401


def test_jobs_of_a_kind(lab: "Lab", profile: int) -> None:
    """Jobs are listed by kind; an unknown kind is refused with those that there are."""
    assert {job["kind"] for job in lab.call("GET", "/jobs", params={"kind": "profile"}).json()["items"]} == {"profile"}
    job = lab.submit("ada", kind="memory")
    assert job["kind"] == "memory"
    assert job["id"] not in [j["id"] for j in lab.call("GET", "/jobs", params={"kind": "profile"}).json()["items"]]
    answer = lab.call("POST", "/jobs", "ada", json={"python": lab.python, "kind": "memroy"})
    assert (answer.status_code, answer.json()["field"]) == (400, "kind")
    assert answer.json()["detail"] == "no kind of job 'memroy'; did you mean 'memory'?"
