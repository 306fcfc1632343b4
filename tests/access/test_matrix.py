"""Who may do what with Buildbot's own objects: every role against every action that Buildbot's data API has."""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from buildbot.data import base, buildrequests, builds
from buildbot.data.connector import DataConnector

from benchyard.config.names import INNER

if TYPE_CHECKING:
    from tests.access.conftest import Lab

Wait = Callable[[Callable[[], bool], str], None]

PEOPLE = (None, "vic", "ada", "eve", "admin")

#: What is not for admins alone: (endpoint, action) and who else may. Their own jobs are tested by themselves below.
OTHERS = {("ForceSchedulerEndpoint", "force"): ("ada",), ("BuildEndpoint", "rebuild"): ("ada",)}

#: What stands for the parts of an endpoint's path that are not fixed; only what is fixed matters to the rules.
UNKNOWN = {"n": "987654", "i": "nothing", "s": "nothing"}


def endpoints() -> Iterator[type[base.Endpoint]]:
    """All endpoints of Buildbot's data API."""
    for name in DataConnector.submodules:
        for value in vars(importlib.import_module(name)).values():
            if inspect.isclass(value) and issubclass(value, base.Endpoint) and value.__module__ == name:
                yield value


def stock_control(endpoint: type[base.Endpoint]) -> Any:
    """The `control` that an endpoint has in Buildbot's source, whatever we put in its place."""
    source = ast.parse(inspect.getsource(inspect.getmodule(endpoint)))  # type: ignore[arg-type]
    for node in source.body:
        if isinstance(node, ast.ClassDef) and node.name == endpoint.__name__:
            return next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "control"), None)
    return None


def actions(endpoint: type[base.Endpoint]) -> set[str]:
    """The actions of an endpoint: its `actionX` methods, and the words that its `control` compares with."""
    named = {name.removeprefix("action").lower() for name in dir(endpoint) if name.startswith("action")}
    control = stock_control(endpoint)
    compared = ast.walk(control) if control is not None else ()
    words = {
        word.value
        for compare in compared
        if isinstance(compare, ast.Compare)
        for word in ast.walk(compare)
        if isinstance(word, ast.Constant) and isinstance(word.value, str)
    } - {"owner"}
    return named | words


def path_of(pattern: str) -> str:
    """A path that an endpoint's pattern fits."""
    parts = (UNKNOWN[part.partition(":")[0] or "s"] if ":" in part else part for part in pattern[1:].split("/"))
    return "/".join(parts)


CONTROLS = [
    (endpoint.__name__, path_of(pattern), action)
    for endpoint in endpoints()
    for pattern in endpoint.__dict__.get("pathPatterns", ())
    for action in sorted(actions(endpoint))
]


def test_actions_of_buildbot() -> None:
    """The actions there are in 4.3.0; a new one upstream fails here, and wants a decision about who may do it."""
    found = {endpoint.__name__: actions(endpoint) for endpoint in endpoints() if actions(endpoint)}
    assert found == {
        "BuildEndpoint": {"stop", "rebuild"},
        "BuildRequestEndpoint": {"cancel", "set_priority"},
        "ForceSchedulerEndpoint": {"force"},
        "SchedulerEndpoint": {"enable"},
        "WorkerEndpoint": {"stop", "pause", "unpause", "kill"},
    }
    assert len(CONTROLS) == 6 + 2 + 1 + 2 + 8 * 4


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize(("endpoint", "path", "action"), CONTROLS)
def test_action(lab: "Lab", endpoint: str, path: str, action: str, who: str | None) -> None:
    """An action is refused to everybody but admins, and those whom the table names; the rules come before the rest."""
    status = lab.control(path, action, who).status_code
    if who == "admin" or who in OTHERS.get((endpoint, action), ()):
        assert status not in (401, 403)
    else:
        assert status == 403


@pytest.mark.parametrize("who", PEOPLE[:-1])
def test_everything_else(lab: "Lab", who: str | None) -> None:
    """Where there is no action, and by words that Buildbot takes for one of its own, there is nothing to be had."""
    for endpoint in endpoints():
        for pattern in endpoint.__dict__.get("pathPatterns", ()):
            assert lab.control(path_of(pattern), "frobnicate", who).status_code == 403, pattern
    for path, action in (("builds/1", "STOP"), ("builds/1", "Rebuild"), ("nowhere/at/all", "stop")):
        assert lab.control(path, action, who).status_code == 403


@pytest.mark.parametrize("who", [None, "vic", "ada", "admin"])
def test_everybody_reads(lab: "Lab", who: str | None) -> None:
    """What does not change anything is for everybody where the lab is open."""
    for path in ("masters", "builders", "builds", "buildrequests", "workers", "forceschedulers", "application.spec"):
        assert lab.request("GET", f"api/v2/{path}", who).status_code == 200


@pytest.fixture
def begun(lab: "Lab", wait: Wait) -> Iterator[dict[str, int]]:
    """A job of ada's that waits for a worker: its request and build, and the request of its first stage."""
    request = lab.force("ada", owner="bob")
    assert lab.job(request)["owner"] == "ada"
    wait(lambda: bool(lab.data(f"buildrequests/{request}/builds")), "the job's build")
    (build,) = lab.data(f"buildrequests/{request}/builds")

    def stages() -> list[dict[str, Any]]:
        sets = [b["bsid"] for b in lab.data("buildsets") if b["parent_buildid"] == build["buildid"]]
        return [r for r in lab.data("buildrequests") if r["buildsetid"] in sets]

    wait(lambda: bool(stages()), "the job's first stage")
    yield {"request": request, "build": build["buildid"], "stage": stages()[0]["buildrequestid"]}
    lab.control(f"buildrequests/{request}", "cancel", "admin")
    wait(lambda: lab.data(f"buildrequests/{request}")[0]["complete"], "the job's end")


@pytest.mark.parametrize(("kind", "action"), [("request", "cancel"), ("build", "stop"), ("stage", "cancel")])
def test_own_job(lab: "Lab", begun: dict[str, int], wait: Wait, kind: str, action: str) -> None:
    """A member stops and cancels what belongs to their own job, a stage as well, and nothing of anybody else's."""
    path = f"{'builds' if kind == 'build' else 'buildrequests'}/{begun[kind]}"
    for who in (None, "vic", "bob", "eve"):
        assert lab.control(path, action, who, owner="ada").status_code == 403
    assert lab.job(begun["request"])["cancel_by"] is None
    assert lab.control(path, action, "ada").status_code == 200
    wait(lambda: lab.job(begun["request"])["status"] == "canceled", "the job's end")


def test_spoofed_owner(lab: "Lab", begun: dict[str, int]) -> None:
    """The property `owner` of a request opens nothing; the job's row alone says whose it is."""
    with lab.engine().begin() as conn:
        conn.exec_driver_sql(
            """UPDATE buildset_properties SET property_value = '["bob", "x"]' WHERE property_name = 'owner' """
        )
    assert lab.control(f"buildrequests/{begun['request']}", "cancel", "bob").status_code == 403
    assert lab.control(f"builds/{begun['build']}", "stop", "bob").status_code == 403


def test_own_job_of_a_former_member(lab: "Lab", begun: dict[str, int]) -> None:
    """Who is no member any more does nothing, not even with their own job."""
    with lab.engine().begin() as conn:
        conn.exec_driver_sql("UPDATE benchyard_jobs SET owner = 'vic'")
    assert lab.control(f"buildrequests/{begun['request']}", "cancel", "vic").status_code == 403


def test_admin_handles_every_job(lab: "Lab", begun: dict[str, int], wait: Wait) -> None:
    """An admin stops anybody's job."""
    assert lab.control(f"builds/{begun['build']}", "stop", "admin").status_code == 200
    wait(lambda: lab.job(begun["request"])["status"] == "canceled", "the job's end")


def test_unknown_request(lab: "Lab", wait: Wait) -> None:
    """Canceling a request that does not exist yet is refused, and does not keep the later request from running."""
    following = max((r["buildrequestid"] for r in lab.data("buildrequests")), default=0) + 1
    answer = lab.control(f"buildrequests/{following}", "cancel", "admin")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == f"there is no build request {following}"
    assert lab.control("builds/987654", "stop", "admin").status_code == 404
    assert lab.force("ada") == following
    wait(lambda: bool(lab.data(f"buildrequests/{following}/builds")), "the request's build")
    lab.control(f"buildrequests/{following}", "cancel", "admin")


def test_ended_request(lab: "Lab", begun: dict[str, int], wait: Wait) -> None:
    """Canceling and stopping what has ended changes nothing."""
    lab.control(f"builds/{begun['build']}", "stop", "ada")
    wait(lambda: lab.data(f"buildrequests/{begun['request']}")[0]["complete"], "the job's end")
    before = lab.data(f"buildrequests/{begun['request']}"), lab.data(f"builds/{begun['build']}")
    assert lab.control(f"buildrequests/{begun['request']}", "cancel", "admin").status_code == 200
    assert lab.control(f"builds/{begun['build']}", "stop", "admin").status_code == 200
    assert (lab.data(f"buildrequests/{begun['request']}"), lab.data(f"builds/{begun['build']}")) == before


def test_rebuild_is_its_own_job(lab: "Lab", begun: dict[str, int], wait: Wait) -> None:
    """A rebuild bears who pressed the button, whom nobody can name by a property of the form."""
    builder = lab.data(f"builds/{begun['build']}")[0]["builderid"]
    number = lab.data(f"builds/{begun['build']}")[0]["number"]
    for path in (f"builds/{begun['build']}", f"builders/{builder}/builds/{number}", f"builders/{lab.target}/builds/1"):
        answer = lab.control(path, "rebuild", "bob", rebuilt_by="ada")
        assert answer.status_code == 200, answer.text
        buildset, requests = answer.json()["result"]
        (properties,) = lab.data(f"buildsets/{buildset}/properties")
        assert properties["rebuilt_by"] == ["bob", "benchyard"]
        assert lab.data(f"buildsets/{buildset}")[0]["rebuilt_buildid"] is not None
        (request,) = requests.values()
        lab.job(request)
        lab.control(f"buildrequests/{request}", "cancel", "admin")


@pytest.mark.parametrize(("number", "stage"), list(zip((1000, 2000, 3000, 4000), INNER, strict=True)))
def test_stage_is_not_rebuilt(lab: "Lab", begun: dict[str, int], number: int, stage: str) -> None:
    """A stage belongs to its job, and so does what looks after a host: nobody rebuilds one, not even an admin."""
    with lab.engine().begin() as conn:
        conn.exec_driver_sql(
            "INSERT INTO builds (id, number, builderid, buildrequestid, masterid, started_at, complete_at,"
            " state_string, results, workerid, locks_duration_s)"
            " SELECT ?, ?, b.id, ?, 1, 1, 2, '', 0, 1, 0"
            " FROM builders b WHERE b.name = ?",
            (number, number, begun["request"], f"{lab.target}-{stage}"),
        )
    for action in ("rebuild", "Rebuild", "REBUILD"):
        for who in ("ada", "admin"):
            assert lab.control(f"builds/{number}", action, who).status_code in (403, 501), (action, who)
    assert lab.control(f"builds/{number}", "rebuild", "admin").status_code == 403


def test_priority(lab: "Lab", begun: dict[str, int]) -> None:
    """Nobody sets a request's priority: the order of a queue is the lab's own."""
    answer = lab.control(f"buildrequests/{begun['request']}", "set_priority", "admin", priority=1)
    assert answer.status_code == 501
    assert "queue move" in answer.json()["error"]["message"]


def test_stop_has_a_reason(lab: "Lab", begun: dict[str, int], wait: Wait) -> None:
    """Stopping a build with a reason stops it, and the reason says who it was."""
    assert lab.control(f"builds/{begun['build']}", "stop", "ada", reason="enough").status_code == 200
    wait(lambda: lab.data(f"builds/{begun['build']}")[0]["complete"], "the build's end")
    assert "stopping build: enough (by ada)" in lab.log()
    assert "TypeError" not in lab.log()


def test_controls_are_ours() -> None:
    """The endpoints' `control` is what Buildbot calls for each action; the two of ours are in their places."""
    from benchyard.access import controls

    controls.install()
    assert builds.BuildEndpoint.control is controls.control_build
    assert buildrequests.BuildRequestEndpoint.control is controls.control_request
    assert "endpoint.control(action, args, kwargs)" in inspect.getsource(DataConnector.control)


def test_rebuild_copies_what_stock_copies() -> None:
    """Our rebuild hands on all that Buildbot's own does; a change upstream of what is copied fails here."""
    from benchyard.access import controls

    def arguments(function: Any) -> set[str]:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        (added,) = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "addBuildset"]
        return {keyword.arg or "" for keyword in added.keywords}

    assert arguments(controls._rebuild) == arguments(buildrequests.BuildRequest.rebuildBuildrequest)
