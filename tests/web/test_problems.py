"""Errors of the REST interface: each is problem+json with its status, its words, and the field if there is one."""

import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from benchyard.web.calls import MAX_BODY

if TYPE_CHECKING:
    from tests.web.conftest import Lab


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem in an answer, whose form is checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = dict(answer.json())
    assert found["status"] == status
    assert found["type"] == "about:blank"
    assert found["title"]
    assert "\n" not in found["detail"]
    assert "Traceback" not in answer.text
    return found


@pytest.mark.parametrize("path", ["/nothing", "/jobs/1/nothing", "/jobs/one", "/jobs/-1", "/jobs/", "/", ""])
def test_unknown_route(lab: "Lab", path: str) -> None:
    """What is not there is a problem like all others, not a page."""
    problem(lab.call("GET", path, "admin"), 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/jobs"), ("PUT", "/jobs/1"), ("POST", "/health"), ("GET", "/jobs/1/run"), ("PATCH", "/results")],
)
def test_wrong_method(lab: "Lab", method: str, path: str) -> None:
    """A method that a path does not have is told apart from a path that is not there, with those it has."""
    answer = lab.call(method, path, "admin")
    problem(answer, 405)
    assert answer.headers["allow"]


@pytest.mark.parametrize("path", ["/jobs/77777", "/results/77777", "/results/77777/file", "/jobs/77777/log"])
def test_nothing_of_this_id(lab: "Lab", path: str) -> None:
    """An id that nobody has is named."""
    assert "77777" in problem(lab.call("GET", path, "admin"), 404)["detail"]


@pytest.mark.parametrize("path", ["/jobs/{}", "/results/{}", "/jobs/{}/log", "/results/{}/file"])
@pytest.mark.parametrize("number", [2**31, 2**63, 10**30])
def test_id_that_no_database_can_hold(lab: "Lab", path: str, number: int) -> None:
    """A number too large for any id is an id that nobody has."""
    problem(lab.call("GET", path.format(number), "admin"), 404)


@pytest.mark.parametrize("path", ["/jobs/77777/run", "/jobs/77777/cancel"])
def test_change_of_nothing(lab: "Lab", path: str) -> None:
    """To change a job that is not there is the same."""
    assert problem(lab.call("POST", path, "admin"), 404)["detail"] == "there is no job 77777"


def test_unknown_things_are_no_fault_of_the_lab(lab: "Lab") -> None:
    """Asking for what is not there, by whomever, leaves no traceback in the master's log."""
    lab.call("GET", "/jobs/66666")
    lab.call("GET", "/results/66666")
    with lab.browser("nobody", "guess"):
        pass
    log = (lab.root / "master" / "twistd.log").read_text(errors="replace")
    assert "NotFound" not in log


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"NaN", b"{'python': 1}"])
@pytest.mark.parametrize("path", ["/jobs", "/hosts"])
def test_body_is_not_json(lab: "Lab", path: str, body: bytes) -> None:
    """A body that cannot be read is refused as such."""
    assert problem(lab.call("POST", path, "admin", content=body), 400)["detail"] == "the body is not JSON"


@pytest.mark.parametrize("path", ["/jobs", "/hosts"])
def test_body_is_nested_deeply(lab: "Lab", path: str) -> None:
    """A body that would exhaust a recursive reader is refused."""
    problem(lab.call("POST", path, "admin", content=b"[" * 100_000), 400)
    problem(lab.call("POST", path, "admin", content=b'{"python": ' + b"[" * 100_000), 400)


@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"x"'])
@pytest.mark.parametrize("path", ["/jobs", "/hosts"])
def test_body_is_no_object(lab: "Lab", path: str, body: bytes) -> None:
    """Other JSON than an object is refused with what was expected."""
    assert "object" in problem(lab.call("POST", path, "admin", content=body), 400)["detail"]


JOB_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "pyton": ({"pyton": "/p"}, "no such field"),
    "python": ({"python": None}, "say which interpreter"),
    "benchmarks": ({"benchmarks": ["nbody", 5]}, "expected `str`, got `int`"),
    "mode": ({"mode": "quick"}, "invalid enum value 'quick'"),
    "run": ({"run": "yes"}, "expected `bool`, got `str`"),
    "target": ({"target": "nowhere"}, "unknown target 'nowhere'"),
    "host": ({"host": "nobody"}, "no isolated host 'nobody' measures"),
    "affinity": ({"affinity": "3-1"}, ""),
}


@pytest.mark.parametrize("field", JOB_FAULTS)
def test_fault_of_a_job(lab: "Lab", field: str) -> None:
    """What is wrong with a job names its field, and no job is made."""
    asked, words = JOB_FAULTS[field]
    before = lab.call("GET", "/jobs?limit=1").json()["items"]
    body = {"python": lab.python, "benchmarks": ["nbody"], **asked}
    found = problem(lab.call("POST", "/jobs", "ada", json=body), 400)
    assert found["field"] == field
    assert words in found["detail"]
    assert lab.call("GET", "/jobs?limit=1").json()["items"] == before


def test_job_without_interpreter(lab: "Lab") -> None:
    """A field that is missing is named."""
    found = problem(lab.call("POST", "/jobs", "ada", json={}), 400)
    assert found["field"] == "python"
    assert found["detail"].startswith("say which interpreter")


HOST_FAULTS = {
    "name": {"name": "a b"},
    "target": {"target": "nowhere"},
    "address": {"address": "a b"},
    "cpus": {"cpus": "all"},
    "role": {"role": "fast"},
    "colour": {"colour": "red"},
}


@pytest.mark.parametrize("field", HOST_FAULTS)
def test_fault_of_a_host(lab: "Lab", field: str) -> None:
    """What is wrong with a new host names its field, and nothing is written."""
    files = sorted((lab.root / "hosts.d").iterdir())
    body = {"name": "new", "role": "worker", "target": lab.target, "address": "new.example", **HOST_FAULTS[field]}
    assert problem(lab.call("POST", "/hosts", "admin", json=body), 400)["field"] == field
    assert sorted((lab.root / "hosts.d").iterdir()) == files


def test_body_is_too_large(lab: "Lab") -> None:
    """A body beyond the limit is refused, one at the limit is read."""
    assert str(MAX_BODY) in problem(lab.call("POST", "/jobs", "ada", content=b" " * (MAX_BODY + 1)), 413)["detail"]
    problem(lab.call("POST", "/jobs", "ada", content=b" " * MAX_BODY), 400)


@pytest.mark.parametrize("path", ["/jobs", "/results"])
@pytest.mark.parametrize("limit", ["0", "501", "-1", "x", "1.5", "", "9" * 30, "\u0661"])
def test_limit_out_of_range(lab: "Lab", path: str, limit: str) -> None:
    """A page has between 1 and 500 rows; anything else is refused by name."""
    assert problem(lab.call("GET", path, params={"limit": limit}), 400)["field"] == "limit"


@pytest.mark.parametrize("path", ["/jobs", "/results"])
@pytest.mark.parametrize("cursor", ["-1", "x", "", "9" * 30, "null"])
def test_cursor_out_of_range(lab: "Lab", path: str, cursor: str) -> None:
    """A cursor that we did not give is refused by name."""
    assert problem(lab.call("GET", path, params={"cursor": cursor}), 400)["field"] == "cursor"


def test_other_queries(lab: "Lab") -> None:
    """Other parts of a query are named as well."""
    assert problem(lab.call("GET", "/jobs?status=sleeping"), 400)["field"] == "status"
    assert problem(lab.call("GET", "/results?job=x"), 400)["field"] == "job"
    assert problem(lab.call("GET", "/results/compare?base=1"), 400)["field"] == "head"
    assert problem(lab.call("GET", "/results/compare"), 400)["field"] == "base"
    answer = lab.call("GET", "/results/compare?base=77777&head=77778")
    assert problem(answer, 404)["detail"] == "there is no result 77777"


def test_conflict(lab: "Lab") -> None:
    """What the state of things forbids is a conflict that says that state."""
    job = lab.submit("ada")
    assert lab.call("POST", f"/jobs/{job['id']}/cancel", "ada").json()["status"] == "canceled"
    found = problem(lab.call("POST", f"/jobs/{job['id']}/run", "ada"), 409)
    assert found["detail"] == f"job {job['id']} is canceled; only a created job can be put on the queue"


def test_not_http(lab: "Lab") -> None:
    """Bytes that are no request do no harm to the next one."""
    with socket.create_connection(("127.0.0.1", httpx.URL(lab.url).port or 0), timeout=10) as raw:
        raw.sendall(b"\x00\xff\r\n\r\n")
        raw.recv(1000)
    assert lab.call("GET", "/health").status_code == 200
