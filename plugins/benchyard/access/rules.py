"""Rules for Buildbot's own actions that Buildbot itself does not have."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from buildbot.util.twisted import async_to_deferred
from buildbot.www.authz.endpointmatchers import EndpointMatcherBase, Match
from twisted.internet import defer

from benchyard.access.login import OWNER

#: `owner_of(master, request_id)`: whose job a build request stands for; None where it stands for none.
OwnerOf = Callable[[Any, int], Awaitable[str | None]]


class OwnJobMatcher(EndpointMatcherBase):
    """Stopping a build and canceling a request: theirs who own the job, be the build the job's own or a stage's.

    The owner is the one of the job's row; the property `owner`, which Buildbot's own rules trust, is whatever a
    client has sent. Others are not refused here: the rules after this one decide.
    """

    def __init__(self, owner_of: OwnerOf) -> None:
        super().__init__(role=OWNER, defaultDeny=False)
        self.owner_of = owner_of

    @async_to_deferred
    async def match_BuildEndpoint_stop(self, endpoint: Any, path: Mapping[str, Any], _options: Any) -> Match | None:
        build = await endpoint.get({}, path)
        return await self._owned(build["buildrequestid"]) if build is not None else None

    @async_to_deferred
    async def match_BuildRequestEndpoint_cancel(
        self, _endpoint: Any, path: Mapping[str, Any], _options: Any
    ) -> Match | None:
        return await self._owned(path["buildrequestid"])

    async def _owned(self, request_id: int) -> Match | None:
        owner = await self.owner_of(self.master, request_id)
        return OwnedMatch(self.master, owner) if owner is not None else None


class OwnedMatch(Match):
    """A match whose owner is known."""

    def __init__(self, master: Any, owner: str) -> None:
        super().__init__(master)
        self.owner = owner

    def getOwner(self) -> Any:
        return defer.succeed(self.owner)
