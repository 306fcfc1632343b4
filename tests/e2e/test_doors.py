"""Buildbot's own doors to the queue: the force form and Rebuild, through its real web server."""

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from benchyard.client import Client, Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import LabHandle

pytestmark = pytest.mark.timeout(600)

JOB_S = 240.0


@pytest.fixture
def browser(lab: "LabHandle") -> "Iterator[httpx.Client]":
    """A browser session that is logged in as the admin."""
    with lab.client() as client:
        url = client.url
    password = (lab.root / "secrets" / "admin-password").read_text().strip()
    with httpx.Client(base_url=url, timeout=30) as session:
        assert session.get("/auth/login", auth=("admin", password)).status_code in (200, 302)
        yield session


def control(session: httpx.Client, path: str, method: str, **params: Any) -> httpx.Response:
    """Call one of Buildbot's control methods."""
    return session.post(
        f"/api/v2/{path}",
        json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
        headers={"Origin": str(session.base_url).rstrip("/")},
    )


def force(session: httpx.Client, **fields: str) -> httpx.Response:
    """Fill in the force form of the only target and send it."""
    schedulers = session.get("/api/v2/forceschedulers").json()["forceschedulers"]
    (form,) = schedulers
    (builder,) = form["builder_names"]
    return control(session, f"forceschedulers/{form['name']}", "force", builderNames=[builder], **fields)


def test_the_form_has_the_fields_of_a_job(browser: httpx.Client) -> None:
    """The force form asks for interpreter, benchmarks, how long, and the reason."""
    (form,) = browser.get("/api/v2/forceschedulers").json()["forceschedulers"]

    def names(fields: list[dict[str, Any]]) -> set[str]:
        return {f["name"] for f in fields} | {n for f in fields for n in names(f.get("fields", []))}

    assert {"python", "benchmarks", "mode", "reason", "host"} <= names(form["all_fields"])


def newest(client: Client, after: int, wait: "Callable[..., None]") -> Job:
    """The job that came by a door after job `after`; its row is made a moment after its request."""
    wait(lambda: any(job.id > after for job in client.jobs.list(limit=1)), "the job is there")
    return next(iter(client.jobs.list(limit=1)))


def last_id(client: Client) -> int:
    """The number of the newest job, 0 if there is none."""
    return max((job.id for job in client.jobs.list(limit=1)), default=0)


def test_a_forced_job_is_a_job(
    lab: "LabHandle", browser: httpx.Client, python: str, wait: "Callable[..., None]"
) -> None:
    """A job from the form has a row with owner, origin and reason, and runs; Rebuild makes a new one."""
    with lab.client() as client:
        before = last_id(client)
        answer = force(browser, python=python, benchmarks="nbody, json_loads", mode="fast", reason="by hand")
        assert answer.status_code == 200, answer.text
        job = newest(client, before, wait).wait(JOB_S)
        assert (job.status, job.origin, job.owner, job.reason) == ("success", "force", "admin", "by hand")
        assert list(job.spec.benchmarks) == ["json_loads", "nbody"]
        build = builds_of(browser, str(job.target))[0]
        assert control(browser, f"builds/{build}", "rebuild").status_code == 200
        again = newest(client, job.id, wait).wait(JOB_S)
        assert (again.status, again.origin) == ("success", "rebuild")
        assert again.results != job.results


def builds_of(session: httpx.Client, builder: str) -> list[int]:
    """Ids of a builder's builds, newest first."""
    builds = session.get(f"/api/v2/builders/{builder}/builds", params={"order": "-buildid"}).json()["builds"]
    return [build["buildid"] for build in builds]


def test_a_bad_forced_job_has_failed_and_says_why(
    lab: "LabHandle", browser: httpx.Client, python: str, wait: "Callable[..., None]"
) -> None:
    """The form cannot refuse: the job is there, failed, with the same words that `submit` would say."""
    with lab.client() as client:
        before = last_id(client)
        force(browser, python=python, benchmarks="nbdy", mode="fast", reason="a typing error")
        job = newest(client, before, wait)
        assert (job.status, job.reason) == ("failed", "a typing error")
        assert "did you mean 'nbody'" in (job.error or "")

        def ended() -> bool:
            requests = browser.get("/api/v2/buildrequests", params={"order": "-buildrequestid", "limit": 1}).json()
            return bool(requests["buildrequests"][0]["complete"])

        wait(ended, "its request has ended")


def test_nobody_forces_without_login(lab: "LabHandle", python: str) -> None:
    """Whoever has not logged in may read, and change nothing."""
    with lab.client() as client, httpx.Client(base_url=client.url, timeout=30) as anyone:
        assert force(anyone, python=python, benchmarks="nbody").status_code == 403
        assert anyone.post("/plugins/benchyard/api/v1/jobs", json={"python": python}).status_code == 401
