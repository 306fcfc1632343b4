"""Buildbot's web server: its port, its login, and who may do what in it."""

from typing import Any

from twisted.internet.endpoints import quoteStringArgument

from benchyard.config.names import INNER, stage_builder
from benchyard.config.settings import Settings

#: A role that nobody has.
NOBODY = "nobody"


def make_www(settings: Settings) -> dict[str, Any]:
    """The `www` part of the configuration. The plugin's own is sent to every browser, so it is empty."""
    from benchyard.access import site
    from benchyard.access.login import LabAuth

    site.install()
    lab = settings.lab
    return {
        "port": f"tcp:{lab.http_port}:interface={quoteStringArgument(lab.listen)}",
        "plugins": {"benchyard": {}},
        "auth": LabAuth(anonymous_read=lab.anonymous_read),
        "authz": _authz(settings),
        "avatar_methods": [],
        "allowed_origins": [lab.url.rstrip("/")],
    }


def _authz(settings: Settings) -> Any:
    """Who may do what with Buildbot's own objects; the first rule that fits decides.

    | action | who |
    | --- | --- |
    | force a job, rebuild a job | members |
    | stop a build, cancel a request | members for their own jobs, admins for all |
    | rebuild a stage, or what looks after a host | nobody: stages belong to their job |
    | everything else that changes something | admins |
    | read | everybody, or viewers where the lab is closed to strangers |

    Buildbot allows what no rule fits, so the last ones fit everything.
    """
    from buildbot.plugins import util

    from benchyard.access.login import RolesOfOwners, RolesOfUsers
    from benchyard.access.rules import OwnJobMatcher

    stages = [stage_builder(target, stage) for target in settings.targets for stage in INNER]
    rules = [
        *(util.RebuildBuildEndpointMatcher(builder=name, role=NOBODY) for name in stages),
        util.RebuildBuildEndpointMatcher(role="member"),
        util.ForceBuildEndpointMatcher(role="member"),
        OwnJobMatcher(_owner_of_request),
        util.AnyControlEndpointMatcher(role="admin"),
    ]
    if not settings.lab.anonymous_read:
        rules.append(util.AnyEndpointMatcher(role="viewer"))
    return util.Authz(allowRules=rules, roleMatchers=[RolesOfUsers(), RolesOfOwners()])


async def _owner_of_request(master: Any, request_id: int) -> str | None:
    """Whose job a request stands for, be it the job's own or that of one of its stages; None where it is nobody's."""
    from benchyard.queueing.cancellation import job_of_any_request
    from benchyard.queueing.engine import SERVICE
    from benchyard.store import jobs
    from benchyard.store.errors import NotFound

    service = master.service_manager.namedServices.get(SERVICE)
    job_id = await job_of_any_request(service, request_id) if service is not None else None
    try:
        return (await service.db(jobs.get_job, job_id)).owner if job_id is not None else None
    except NotFound:
        return None  # the job was removed
