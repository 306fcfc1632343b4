"""Who may do what over REST: each operation as nobody, viewer, member and admin, held against a table."""

from typing import TYPE_CHECKING, Any

import pytest

from benchyard.access.roles import Role
from benchyard.web.routes import ROUTES

if TYPE_CHECKING:
    from tests.web.conftest import Lab

#: The least role that may do an operation. Members handle jobs, results and users of their own only (see below).
MATRIX = {
    "anyone": ["POST /login", "GET /health", "GET /openapi.json"],
    "viewer": [
        "GET /jobs",
        "GET /jobs/current",
        "GET /jobs/<int:job_id>",
        "GET /jobs/<int:job_id>/log",
        "GET /queues",
        "GET /queues/<target>",
        "GET /results",
        "GET /results/compare",
        "GET /results/compare.csv",
        "GET /results/compare.md",
        "GET /results/compare.png",
        "GET /results/compare.svg",
        "GET /results/distribution.png",
        "GET /results/distribution.svg",
        "GET /results/series",
        "GET /results/series.csv",
        "GET /results/series.png",
        "GET /results/series.svg",
        "GET /results/matrix",
        "GET /results/<int:result_id>",
        "GET /results/<int:result_id>/file",
        "GET /results/<int:result_id>/attachments",
        "GET /results/<int:result_id>/attachments/<name>",
        "GET /results/<int:result_id>/measurements",
        "GET /uploads",
        "GET /destinations",
        "GET /hosts",
        "GET /hosts/<name>",
        "GET /hosts/<name>/noise",
        "GET /users/<name>",
        "PATCH /users/<name>",
        "GET /users/<name>/tokens",
        "POST /users/<name>/tokens",
        "DELETE /users/<name>/tokens/<int:token_id>",
        "GET /notices",
        "GET /notices/<int:notice_id>",
        "GET /regressions",
        "GET /regressions/<int:regression_id>",
        "GET /events",
        "GET /metrics",
    ],
    "member": [
        "POST /users/<name>/try-secret",
        "POST /jobs",
        "POST /backfills",
        "PATCH /jobs/<int:job_id>",
        "DELETE /jobs/<int:job_id>",
        "POST /jobs/<int:job_id>/enable",
        "POST /jobs/<int:job_id>/disable",
        "POST /jobs/<int:job_id>/run",
        "POST /jobs/<int:job_id>/cancel",
        "POST /queues/<target>/push",
        "POST /queues/<target>/move",
        "POST /queues/<target>/remove",
        "POST /results",
        "POST /results/compare",
        "POST /results/compare.csv",
        "POST /results/compare.md",
        "POST /results/compare.png",
        "POST /results/compare.svg",
        "POST /results/distribution.png",
        "POST /results/distribution.svg",
        "PATCH /regressions/<int:regression_id>",
        "PATCH /results/<int:result_id>",
        "DELETE /results/<int:result_id>",
        "POST /results/<int:result_id>/enable",
        "POST /results/<int:result_id>/disable",
        "PUT /results/import",
        "PUT /results/<int:result_id>/file",
        "POST /results/<int:result_id>/upload",
        "POST /uploads/retry",
    ],
    "admin": [
        "POST /results/prune",
        "GET /users",
        "POST /queues/<target>/pop",
        "POST /queues/<target>/pause",
        "POST /queues/<target>/unpause",
        "POST /hosts",
        "PATCH /hosts/<name>",
        "DELETE /hosts/<name>",
        "POST /hosts/<name>/enable",
        "POST /hosts/<name>/disable",
        "POST /hosts/<name>/configure",
        "POST /hosts/<name>/update",
        "POST /hosts/<name>/check",
        "POST /hosts/<name>/lease",
        "POST /hosts/<name>/release",
        "GET /inventory",
        "POST /users",
        "DELETE /users/<name>",
        "POST /users/<name>/enable",
        "POST /users/<name>/disable",
    ],
}

OPERATIONS = [(operation, role) for role, operations in MATRIX.items() for operation in operations]

#: Nobody, then one person of each role.
PEOPLE = {None: Role.ANYONE, "vic": Role.VIEWER, "ada": Role.MEMBER, "admin": Role.ADMIN}

#: What is asked for in the place of a variable: a number nobody has, so that nothing comes of it.
NOWHERE = {
    "<int:job_id>": "99999",
    "<int:result_id>": "99999",
    "<int:notice_id>": "99999",
    "<int:regression_id>": "99999",
    "<name>": "nobody-1",
    "<int:token_id>": "99999",
}


def test_every_operation_is_in_the_table() -> None:
    """An operation that is new has its row here, with the role that it says itself."""
    assert {f"{route.method} {route.path}": route.role.name.lower() for route in ROUTES} == dict(OPERATIONS)


def what_is_sent(operation: str) -> dict[str, Any]:
    """A field that no operation has, so that nothing is changed by who may; of users, something about nobody."""
    if "/users/" not in operation:
        wrong = {"colour": "red"}
        return {"params": wrong} if operation.startswith("GET") else {"json": wrong}
    bodies = {"PATCH /users/<name>": {"password": "long enough"}, "POST /users/<name>/tokens": {"name": "t"}}
    return {"json": bodies[operation]} if operation in bodies else {}


@pytest.mark.parametrize("who", PEOPLE, ids=lambda who: who or "nobody")
@pytest.mark.parametrize(("operation", "role"), OPERATIONS)
def test_role(lab: "Lab", operation: str, role: str, who: str | None) -> None:
    """Who has not the role is told to log in, or that it takes another; who has it gets past that."""
    method, path = operation.split(" ")
    for variable, value in {**NOWHERE, "<target>": lab.target}.items():
        path = path.replace(variable, value)
    status = lab.call(method, path, who, **what_is_sent(operation)).status_code
    allowed = PEOPLE[who] >= Role[role.upper()] or (who is None and role == "viewer" and method == "GET")
    if allowed and path.startswith("/users/") and who != "admin":
        allowed = False  # of other users, only admins see and change anything
    if allowed:
        assert status != 403
        assert status < 500
        assert status != 401 or operation == "POST /login"
    else:
        assert status == (401 if who is None else 403)
