"""Buildbot's web server: its port, its login, and who may do what in it."""

from typing import Any

from benchyard.config.builders import STAGES, stage_builder
from benchyard.config.settings import Settings

#: A role that nobody has.
NOBODY = "nobody"


def make_www(settings: Settings) -> dict[str, Any]:
    """The `www` part of the configuration. The plugin's own is sent to every browser, so it is empty."""
    from benchyard.access.service import LabAuth

    lab = settings.lab
    return {
        "port": f"tcp:{lab.http_port}:interface={lab.listen}",
        "plugins": {"benchyard": {}},
        "auth": LabAuth(),
        "authz": _authz(settings),
        "avatar_methods": [],
        "allowed_origins": [lab.url.rstrip("/")],
    }


def _authz(settings: Settings) -> Any:
    """Buildbot allows what no rule matches, so the last rule matches everything that changes anything.

    Stages belong to their job: nobody rebuilds one by itself.
    """
    from buildbot.plugins import util

    from benchyard.access.service import RolesOfUsers

    stages = [stage_builder(target, stage) for target in settings.targets for stage in STAGES]
    rules = [
        *(util.RebuildBuildEndpointMatcher(builder=name, role=NOBODY) for name in stages),
        util.RebuildBuildEndpointMatcher(role="member"),
        util.ForceBuildEndpointMatcher(role="member"),
        util.AnyControlEndpointMatcher(role="admin"),
    ]
    if not settings.lab.anonymous_read:
        rules.append(util.AnyEndpointMatcher(role="viewer"))
    return util.Authz(allowRules=rules, roleMatchers=[RolesOfUsers()])
