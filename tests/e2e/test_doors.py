"""Buildbot's own doors to the queue: the force form and Rebuild, through its real web server."""

from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import LabHandle

    from benchyard.client import Job

    Door = Callable[..., httpx.Response]

pytestmark = pytest.mark.timeout(600)

JOB_S = 240.0


def test_the_form_has_the_fields_of_a_job(browser: httpx.Client) -> None:
    """The force form asks for interpreter, benchmarks, how long, and the reason."""
    (form,) = browser.get("/api/v2/forceschedulers").json()["forceschedulers"]

    def names(fields: list[dict[str, Any]]) -> set[str]:
        return {f["name"] for f in fields} | {n for f in fields for n in names(f.get("fields", []))}

    assert {"python", "benchmarks", "mode", "reason", "host"} <= names(form["all_fields"])


def test_a_forced_job_is_a_job(
    lab: "LabHandle", browser: httpx.Client, python: str, force: "Door", control: "Door", newest: "Callable[..., Job]"
) -> None:
    """A job from the form has a row with owner, origin and reason, and runs; Rebuild makes a new one."""
    with lab.client() as client:
        before = max((job.id for job in client.jobs.list(limit=1)), default=0)
        answer = force(browser, python=python, benchmarks="nbody, json_loads", mode="fast", reason="by hand")
        assert answer.status_code == 200, answer.text
        job = newest(client, before).wait(JOB_S)
        assert (job.status, job.origin, job.owner, job.reason) == ("success", "force", "admin", "by hand")
        assert list(job.spec.benchmarks) == ["json_loads", "nbody"]
        build = builds_of(browser, str(job.target))[0]
        assert control(browser, f"builds/{build}", "rebuild").status_code == 200
        again = newest(client, job.id).wait(JOB_S)
        assert (again.status, again.origin, again.owner) == ("success", "rebuild", "admin")
        assert again.results != job.results


def builds_of(session: httpx.Client, builder: str) -> list[int]:
    """Ids of a builder's builds, newest first."""
    builds = session.get(f"/api/v2/builders/{builder}/builds", params={"order": "-buildid"}).json()["builds"]
    return [build["buildid"] for build in builds]


def test_a_bad_forced_job_has_failed_and_says_why(
    lab: "LabHandle",
    browser: httpx.Client,
    python: str,
    wait: "Callable[..., None]",
    force: "Door",
    newest: "Callable[..., Job]",
) -> None:
    """The form cannot refuse: the job is there, failed, with the same words that `submit` would say."""
    with lab.client() as client:
        before = max((job.id for job in client.jobs.list(limit=1)), default=0)
        force(browser, python=python, benchmarks="nbdy", mode="fast", reason="a typing error")
        job = newest(client, before)
        assert (job.status, job.reason) == ("failed", "a typing error")
        assert "did you mean 'nbody'" in (job.error or "")

        def ended() -> bool:
            requests = browser.get("/api/v2/buildrequests", params={"order": "-buildrequestid", "limit": 1}).json()
            return bool(requests["buildrequests"][0]["complete"])

        wait(ended, "its request has ended")


def test_nobody_forces_without_login(lab: "LabHandle", python: str, force: "Door") -> None:
    """Whoever has not logged in may read, and change nothing."""
    with lab.client() as client, httpx.Client(base_url=client.url, timeout=30) as anyone:
        assert force(anyone, python=python, benchmarks="nbody").status_code == 403
        assert anyone.post("/plugins/benchyard/api/v1/jobs", json={"python": python}).status_code == 401
