"""Buildbot's buttons on builds and requests, with what 4.3.0 forgets: that the thing must exist, and who pressed them.

Canceling a request that does not exist yet would claim it, so that it never runs; stopping such a build would mark it
as stopped. Rebuild copies the properties of the first owner and forgets who asked for it. Setting a priority fails in
4.3.0, and the order of a queue is the lab's own.
"""

from collections.abc import Mapping
from typing import Any

from buildbot.data.buildrequests import BuildRequestEndpoint
from buildbot.data.builds import BuildEndpoint
from buildbot.data.exceptions import InvalidControlException, InvalidPathError
from buildbot.util.twisted import async_to_deferred

#: The property that says who pressed Rebuild; no client can set one from SOURCE.
REBUILT_BY = "rebuilt_by"
SOURCE = "benchyard"

#: Characters that are kept of the reason somebody gives.
REASON_LENGTH = 200


def install() -> None:
    """Put these in the places of Buildbot's own; its endpoints exist before the configuration is read."""
    BuildEndpoint.control = control_build
    BuildRequestEndpoint.control = control_request


@async_to_deferred
async def control_build(endpoint: Any, action: str, args: Mapping[str, Any], path: Mapping[str, Any]) -> Any:
    """`stop` or `rebuild`; `args["owner"]` is set by Buildbot from the login."""
    build = await endpoint.get({}, path)
    if build is None:
        raise InvalidPathError("there is no such build")
    if action == "rebuild":
        return await _rebuild(endpoint.master, build, str(args.get("owner", "web")))
    if action != "stop":
        raise InvalidControlException(f"action: {action} is not supported")
    if not build["complete"]:
        endpoint.master.mq.produce(("control", "builds", str(build["buildid"]), "stop"), _message(args))
    return None


@async_to_deferred
async def control_request(endpoint: Any, action: str, args: Mapping[str, Any], path: Mapping[str, Any]) -> None:
    """`cancel`."""
    request_id = path["buildrequestid"]
    request = await endpoint.master.db.buildrequests.getBuildRequest(request_id)
    if request is None:
        raise InvalidPathError(f"there is no build request {request_id}")
    if action != "cancel":
        raise InvalidControlException(
            f"action: {action} is not supported; `benchyard queue move` changes the order of a queue"
        )
    if not request.complete:
        endpoint.master.mq.produce(("control", "buildrequests", str(request_id), "cancel"), _message(args))


def _message(args: Mapping[str, Any]) -> dict[str, str]:
    """What is sent to all who listen; a build takes each key for an argument, so who it was goes into the reason."""
    reason = str(args.get("reason") or "no reason")[:REASON_LENGTH]
    return {"reason": f"{reason} (by {args.get('owner', 'web')})"}


async def _rebuild(master: Any, build: Mapping[str, Any], who: str) -> Any:
    """What `data.updates.rebuildBuildrequest` does, with one more property."""
    request = await master.data.get(("buildrequests", build["buildrequestid"]))
    buildset = await master.data.get(("buildsets", request["buildsetid"]))
    properties = await master.data.get(("buildsets", request["buildsetid"], "properties"))
    builds = await master.data.get(("buildrequests", request["buildrequestid"], "builds"))
    return await master.data.updates.addBuildset(
        waited_for=False,
        scheduler="rebuild",
        sourcestamps=[stamp["ssid"] for stamp in buildset["sourcestamps"]],
        reason="rebuild",
        properties={**properties, REBUILT_BY: (who, SOURCE)},
        builderids=[request["builderid"]],
        external_idstring=buildset["external_idstring"],
        # A rebuild of a rebuild names the build that was there first.
        rebuilt_buildid=buildset["rebuilt_buildid"] or builds[0]["buildid"],
        parent_buildid=buildset["parent_buildid"],
        parent_relationship=buildset["parent_relationship"],
    )
