"""The plugin that Buildbot loads by its entry point."""

from functools import cache
from typing import Any

from buildbot.www.plugin import Application
from twisted.web.resource import Resource
from twisted.web.static import Data

from benchyard.web.app import Api
from benchyard.web.reference import page
from benchyard.web.routes import ROUTES


class Plugin(Application):
    """Serves the REST interface; has no pages of its own yet."""

    def __init__(self) -> None:
        super().__init__("benchyard.web", "benchyard", ui=False)
        self.resource = Resource()

    def setMaster(self, master: Any) -> None:
        """Called at the start and at every reconfiguration."""
        super().setMaster(master)
        versions = Resource()
        versions.putChild(b"", Data(page(ROUTES).encode(), "text/html; charset=utf-8"))
        versions.putChild(b"v1", Api(master).app.resource())
        self.resource.putChild(b"api", versions)


@cache
def make_plugin() -> Plugin:
    """The one plugin of this process."""
    return Plugin()
