"""Which destination is made of which settings: to add a kind, its settings' type and its factory."""

from collections.abc import Callable
from typing import Any

from benchyard.publish import webhook
from benchyard.publish.destinations import Destination, Site
from benchyard.publish.settings import Policy, Webhook

#: A factory gets the destination's name, its settings, and what it may use of the lab; it does no work yet.
Factory = Callable[[str, Any, Site], Destination]

FACTORIES: dict[type[Policy], Factory] = {
    Webhook: webhook.make,
}


def make(name: str, settings: Policy, site: Site) -> Destination:
    """The destination of a `[publish.NAME]` table."""
    return FACTORIES[type(settings)](name, settings, site)
