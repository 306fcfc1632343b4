"""The lab's part of Buildbot's web server: the REST interface below /plugins/benchyard/api/v1."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchyard.web.plugin import Plugin

    ep: Plugin


def __getattr__(name: str) -> Any:
    """Buildbot asks for `ep`; it is made then, so that importing this package loads no web server."""
    if name == "ep":
        from benchyard.web.plugin import make_plugin

        return make_plugin()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
