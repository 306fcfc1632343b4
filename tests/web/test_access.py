"""Who may do what over REST, by token, by browser session, and as nobody."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from benchyard.cli import main
from benchyard.client.config import save_login
from benchyard.daemon.lock import held
from benchyard.lab.paths import LabPaths

if TYPE_CHECKING:
    from tests.web.conftest import Lab

API = "plugins/benchyard/api/v1"


def test_no_token(lab: "Lab") -> None:
    """Who has not logged in changes nothing and is told how to log in."""
    answer = lab.call("POST", "/jobs", json={"python": lab.python})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="benchyard"'
    assert "benchyard login" in answer.json()["detail"]


#: As a proxy says it of a caller: failed logins are counted by address, and those of the tests shall not add up.
ELSEWHERE = {"X-Forwarded-For": "192.0.2.1"}


@pytest.mark.parametrize("header", ["Bearer byt_wrong", "Bearer", "byt_x", "Bearer \xff", "Bearer a b"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bad_token(lab: "Lab", header: str, method: str) -> None:
    """A token that is none is refused, also for what anybody may read: a typing error must not go unnoticed."""
    answer = lab.call(method, "/jobs", headers={"Authorization": header.encode("latin-1"), **ELSEWHERE})
    assert answer.status_code == 401
    assert answer.json()["detail"] == "the token is not valid; make a new one, or log in again"


def test_basic_says_nothing(lab: "Lab") -> None:
    """A browser that has logged in sends Basic with everything; here it is as if it had sent none."""
    headers = {"Authorization": "Basic YWRtaW46YWRtaW4="}
    assert lab.call("GET", "/jobs", headers=headers).status_code == 200
    assert lab.call("POST", "/jobs", headers=headers).status_code == 401


def test_guesses_are_slowed_down(lab: "Lab") -> None:
    """Who keeps guessing is told to wait, and for how long; a good token from the same address still works."""
    headers = {"X-Forwarded-For": "192.0.2.99"}
    for _ in range(15):
        answer = lab.call("GET", "/jobs", headers={"Authorization": "Bearer byt_guess", **headers})
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert lab.call("GET", "/jobs", "ada", headers=headers).status_code == 200


def test_scheme_in_any_spelling(lab: "Lab") -> None:
    """The scheme's name may be written in any case, as HTTP has it."""
    for scheme in ("bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {lab.tokens['ada']}"}
        assert lab.call("GET", "/jobs", headers=headers).status_code == 200


def test_token_of_disabled_user(lab: "Lab") -> None:
    """Who was disabled is nobody any more, by token and by password."""
    assert lab.call("GET", "/jobs", "dan").status_code == 401
    with lab.browser("dan") as browser:
        assert browser.post(f"{API}/jobs", json={}).status_code == 401


def test_token_for_reading_only(lab: "Lab") -> None:
    """A read-only token reads for its user and changes nothing, though its user may."""
    assert lab.call("GET", "/jobs", "eve").status_code == 200
    assert lab.call("POST", "/jobs", "eve", json={"python": lab.python}).status_code == 403
    with lab.browser("eve") as browser:
        body = {"python": lab.python, "benchmarks": ["nbody"], "run": False}
        assert browser.post(f"{API}/jobs", json=body).status_code == 201


def test_viewer_changes_nothing(lab: "Lab") -> None:
    """A viewer reads; what needs another role says which."""
    assert lab.call("GET", "/jobs", "vic").status_code == 200
    answer = lab.call("POST", "/jobs", "vic", json={"python": lab.python})
    assert (answer.status_code, answer.json()["detail"]) == (403, "this takes the role member; vic is here as viewer")


def test_member_adds_no_host(lab: "Lab") -> None:
    """Hosts join by an admin's word only."""
    body = {"name": "x", "role": "worker", "target": lab.target, "address": "x"}
    assert lab.call("POST", "/hosts", "ada", json=body).status_code == 403


@pytest.mark.parametrize("what", ["run", "cancel"])
def test_job_of_another_member(lab: "Lab", what: str) -> None:
    """A member handles own jobs only; an admin handles all."""
    job = lab.submit("ada")
    answer = lab.call("POST", f"/jobs/{job['id']}/{what}", "bob")
    assert answer.status_code == 403
    assert answer.json()["detail"] == f"job {job['id']} belongs to ada; only they and admins may do this"
    assert lab.call("GET", f"/jobs/{job['id']}").json()["status"] == "created"
    assert lab.call("POST", f"/jobs/{job['id']}/cancel", "admin").json()["status"] == "canceled"


def test_owner_is_the_caller(lab: "Lab") -> None:
    """A job belongs to who submits it; nobody else can be named."""
    assert lab.submit("bob")["owner"] == "bob"
    answer = lab.call("POST", "/jobs", "bob", json={"python": lab.python, "owner": "ada"})
    assert (answer.status_code, answer.json()["field"]) == (400, "owner")


def test_browser_session(lab: "Lab") -> None:
    """Who logged in on Buildbot's page has the same role here, without a token."""
    with lab.browser("ada") as browser:
        body = {"python": lab.python, "benchmarks": ["nbody"], "run": False}
        answer = browser.post(f"{API}/jobs", json=body)
        assert (answer.status_code, answer.json()["owner"]) == (201, "ada")


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_form_of_another_page(lab: "Lab", content_type: str | None) -> None:
    """A session alone changes nothing by what a form of any other page can send: JSON takes the browser's consent."""
    job = lab.submit("ada")
    with lab.browser("ada") as browser:
        headers = {"Content-Type": content_type} if content_type else {}
        answer = browser.post(f"{API}/jobs/{job['id']}/cancel", content=b"", headers=headers)
        assert answer.status_code in (400, 415)
        assert lab.call("GET", f"/jobs/{job['id']}").json()["status"] == "created"
        headers = {"Content-Type": "application/json; charset=utf-8"}
        assert browser.post(f"{API}/jobs/{job['id']}/cancel", content=b"{}", headers=headers).status_code == 200


def test_wrong_password(lab: "Lab") -> None:
    """A wrong password, and a name that nobody has, are refused alike."""
    answers = [
        httpx.get(f"{lab.url}auth/login", auth=(name, "wrong"), headers={"X-Forwarded-For": "192.0.2.2"}, timeout=30)
        for name in ("ada", "nobody")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].text == answers[1].text
    with lab.browser("ada", "wrong") as browser:
        assert browser.post(f"{API}/jobs", json={}).status_code == 401


def test_role_counts_in_buildbots_own_pages(lab: "Lab") -> None:
    """Buildbot's own actions ask for the same roles: a viewer forces no job, and only an admin stops a worker."""
    force = {
        "id": 1,
        "jsonrpc": "2.0",
        "method": "force",
        "params": {"python": lab.python, "builderNames": [lab.target]},
    }
    pause = {"id": 1, "jsonrpc": "2.0", "method": "pause", "params": {"reason": "x"}}
    for who, path, call in (
        ("vic", f"api/v2/forceschedulers/force-{lab.target}", force),
        ("ada", "api/v2/workers/1", pause),
    ):
        with lab.browser(who) as browser:
            assert browser.post(path, json=call, headers={"Referer": lab.url}).status_code == 403


def test_closed_lab(closed_lab: "Lab") -> None:
    """Where strangers may not read, they learn the lab's name and version, and nothing else."""
    for path in ("/jobs", "/jobs/1", "/jobs/1/log", "/results", "/results/1/file", "/hosts", "/queues"):
        assert closed_lab.call("GET", path).status_code == 401
    health = closed_lab.call("GET", "/health")
    assert (health.status_code, sorted(health.json())) == (200, ["status", "title", "version"])
    known = sorted(closed_lab.call("GET", "/health", "admin").json())
    assert known == ["hosts", "jobs", "status", "targets", "title", "user", "version"]
    assert closed_lab.call("GET", "/jobs", "admin").status_code == 200


def test_status_of_a_closed_lab(
    closed_lab: "Lab", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`lab status` shows the hosts to who has logged in; to others, and with a bad token, that the lab runs."""
    monkeypatch.setenv("BENCHYARD_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.delenv("BENCHYARD_TOKEN", raising=False)

    def hosts() -> set[str]:
        main(["lab", "status", str(closed_lab.root), "--json"])
        shown = json.loads(capsys.readouterr().out)
        assert shown["pid"] is not None
        return set(shown["hosts"])

    with held(LabPaths(closed_lab.root).lock):
        assert hosts() == set()
        save_login(closed_lab.url, "admin", closed_lab.tokens["admin"])
        assert closed_lab.isolated in hosts()
        save_login(closed_lab.url, "admin", "by-1-old")
        assert hosts() == set()
        main(["lab", "status", str(closed_lab.root)])
        assert "does not answer" not in capsys.readouterr().out
