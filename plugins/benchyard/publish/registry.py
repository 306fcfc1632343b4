"""Which destination is made of which settings: to add a kind, its settings' type and its factory."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from benchyard.publish import webhook
from benchyard.publish.codespeed import destination as codespeed
from benchyard.publish.destinations import Destination, Site
from benchyard.publish.git import repository
from benchyard.publish.github import destination as github
from benchyard.publish.settings import Codespeed, GitHub, GitRepository, Policy, Webhook

#: A factory gets the destination's name, its settings, and what it may use of the lab; it does no work yet.
Factory = Callable[[str, Any, Site], Destination]

FACTORIES: dict[type[Policy], Factory] = {
    Codespeed: codespeed.make,
    GitRepository: repository.make,
    Webhook: webhook.make,
    GitHub: github.make,
}


def make(name: str, settings: Policy, site: Site) -> Destination:
    """The destination of a `[publish.NAME]` table."""
    return FACTORIES[type(settings)](name, settings, site)


def kind_of(settings: Policy) -> str:
    """What the settings call the kind of a destination."""
    return str(settings.__struct_config__.tag)


def where_of(settings: Policy) -> str:
    """Where a destination is, for people: paths of webhooks are left out, as there are some with secrets in them."""
    if isinstance(settings, GitHub):
        return settings.repository
    if not isinstance(settings, (Codespeed, GitRepository, Webhook)):
        return ""
    parts = urlsplit(settings.url)
    if not parts.hostname:
        return settings.url
    host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if isinstance(settings, Webhook) else parts.path)
