"""The door for `buildbot try`: a working copy's changes, measured before anybody else sees them.

The client shows who somebody is by a secret of the lab's (`benchyard user try-secret`), since its protocol cannot work
with hashed passwords. What else it says of its user is not believed.
"""

from pathlib import Path
from typing import Any

from buildbot.schedulers.trysched import Try_Userpass, Try_Userpass_Perspective
from buildbot.util.twisted import async_to_deferred
from twisted.internet import defer, task
from twisted.python import log
from twisted.spread import pb

from benchyard.queueing import engine
from benchyard.store import users
from benchyard.store.errors import NotFound

#: The beginning of the names of the files with users' secrets.
PREFIX = "try-"

#: The scheduler's name.
NAME = "try"

#: Seconds between two looks for new and changed secrets.
LOOK_S = 2.0


class TryScheduler(Try_Userpass):
    """Takes tries of the users whose secrets are in a folder; a new secret counts within seconds, without a restart."""

    def __init__(self, name: str, builderNames: list[str], port: str, secrets_dir: str, **kwargs: Any) -> None:
        super().__init__(name, builderNames, port, userpass=[], secrets_dir=secrets_dir, **kwargs)
        self._known: dict[str, tuple[str, Any]] = {}
        self._one_at_a_time = defer.DeferredLock()
        self._look = task.LoopingCall(self.take_over)

    def checkConfig(self, *args: Any, secrets_dir: str, **kwargs: Any) -> None:
        super().checkConfig(*args, **kwargs)

    @async_to_deferred
    async def reconfigService(self, *args: Any, secrets_dir: str, **kwargs: Any) -> None:
        self.secrets_dir = Path(secrets_dir)
        await super().reconfigService(*args, **kwargs)

    @async_to_deferred
    async def _create_pb(self) -> None:
        await self.take_over()
        if not self._look.running:
            self._look.start(LOOK_S, now=False).addErrback(
                log.err, "benchyard: the secrets for `buildbot try` are not read any more"
            )

    @async_to_deferred
    async def _destroy_pb(self) -> None:
        if self._look.running:
            self._look.stop()
        for _secret, registration in self._known.values():
            await registration.unregister()
        self._known.clear()

    def take_over(self) -> Any:
        """Let the secrets count that are in the folder now, and no others."""
        return self._one_at_a_time.run(self._take_over)

    @async_to_deferred
    async def _take_over(self) -> None:
        found = read_secrets(self.secrets_dir)
        for name, (secret, registration) in list(self._known.items()):
            if found.get(name) != secret:
                del self._known[name]
                await registration.unregister()
        for name in sorted(found.keys() - self._known.keys()):
            registered = await self.master.pbmanager.register(self.port, name, found[name], self._perspective)
            self._known[name] = (found[name], registered)

    def _perspective(self, _mind: Any, username: str) -> Any:
        return TryPerspective(self, username)


class TryPerspective(Try_Userpass_Perspective):
    """What a user's client may do."""

    @async_to_deferred
    async def perspective_try(self, *args: Any, **kwargs: Any) -> Any:
        service = self.scheduler.master.service_manager.namedServices[engine.SERVICE]
        if not await service.db(may_submit, self.username):
            raise pb.Error(f"{self.username} may not submit jobs here; ask an admin")
        # (branch, revision, patch, repository, project, builders, who, comment, properties)
        given = dict(zip(("who", "comment", "properties"), args[6:], strict=False)) | kwargs
        properties = {**(given.get("properties") or {}), "owner": self.username}
        if given.get("comment"):
            properties.setdefault("reason", str(given["comment"]))
        return await super().perspective_try(
            *args[:6], who=self.username, comment=given.get("comment") or "", properties=properties
        )


async def take_over(master: Any) -> None:
    """Let a new secret count at once, if this lab has a door for tries."""
    scheduler = master.scheduler_manager.namedServices.get(NAME)
    if isinstance(scheduler, TryScheduler) and scheduler.active:
        await scheduler.take_over()


def read_secrets(folder: Path) -> dict[str, str]:
    """Secrets by the names of their users."""
    found = {}
    for path in folder.glob(PREFIX + "*"):
        try:
            found[path.name.removeprefix(PREFIX)] = path.read_text("utf-8").strip()
        except OSError:
            continue  # it was taken away meanwhile
    return {name: secret for name, secret in found.items() if secret}


def may_submit(conn: Any, name: str) -> bool:
    """Whether a user exists, is enabled, and is more than a viewer."""
    try:
        user = users.get_user(conn, name)
    except NotFound:
        return False
    return user.enabled and user.status == "active" and user.role != "viewer"
