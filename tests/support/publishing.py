"""The lab's publishing service in a master that does nothing else, with results that were measured elsewhere."""

import time
from pathlib import Path
from typing import Any

import msgspec

from benchyard.publish.service import PublishFacts, PublishService
from benchyard.publish.settings import Codespeed
from benchyard.results.intake import take_in
from benchyard.store import filed, results
from benchyard.store.rows import Result


class Publisher:
    """A master in `folder`, with the database and the results of the lab in the folder `lab`."""

    def __init__(self, folder: Path, lab: Path, destinations: dict[str, dict[str, Any]]) -> None:
        self.folder, self.lab = folder, lab
        self.destinations = {
            name: msgspec.convert({"grades": [], **settings}, Codespeed) for name, settings in destinations.items()
        }
        for path in (folder, lab, lab / "results", lab / "secrets"):
            path.mkdir(exist_ok=True)

    async def start(self) -> None:
        """Bring it up: what is pending is sent from now on."""
        from buildbot.master import BuildMaster
        from twisted.internet import reactor

        self.master = BuildMaster(str(self.folder), reactor=reactor)
        self.master.config.db.db_url = f"sqlite:///{self.lab}/state.sqlite"
        await self.master.db.setup(check_version=False)
        await self.master.db.model.upgrade()
        await self.master.mq.setup()
        paths = {name: str(self.lab / name) for name in ("secrets", "work", "results")}
        facts = PublishFacts(**paths, url="http://lab.example/", title="lab")
        self.service = PublishService(destinations=self.destinations, facts=facts)
        await self.service.setServiceParent(self.master.service_manager)
        await self.service.configureService()
        await self.service.startService()

    async def stop(self) -> None:
        """Bring it down, as a master that stops does."""
        await self.service.stopService()
        await self.master.db.pool.stop()

    async def add(self, data: bytes, commit: str, host: str = "bench1") -> Result:
        """Add a result with its file."""
        now = time.time()
        who = {"now": now, "who": "anna"}
        what = {"host": host, "target": "linux-x86_64", "commit": commit, "branch": "main", "owner": "anna"}
        row: Result = await self.service.db(results.new_result, **what, **who)
        taken = take_in(self.lab / "results", data, host=host, commit=commit, branch="main", now=now, present=None)
        added: Result = await self.service.db(filed.attach_file, row.id, **taken, **who)
        return added
