"""Retention over REST: what is old goes to the trash, by the lab's policy; by default it is only told."""

from typing import Annotated

import msgspec
from twisted.internet import threads

from benchyard.access.roles import Role
from benchyard.web.calls import Call, Route
from benchyard.web.views import ResultView, result_view


class PruneRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many days all results stay, null for what the lab's settings say; only without `dry_run` something goes."""

    keep_all_days: Annotated[float, msgspec.Meta(ge=1, le=36500)] | None = None
    dry_run: bool = True


class Pruned(msgspec.Struct, frozen=True):
    """The results that went to the trash, or would."""

    dry_run: bool
    items: tuple[ResultView, ...]


async def prune_results(call: Call) -> Pruned:
    """Put results into the trash that the lab's policy has no use for any more."""
    request: PruneRequest = call.body
    lab = call.services.lab
    days = request.keep_all_days or lab.facts.keep_all_days
    rows = await lab.upkeep.prune(who=call.caller.name, keep_all_days=days, dry_run=request.dry_run)
    views = await threads.deferToThread(lambda: tuple(result_view(row, listed=True) for row in rows))
    return Pruned(request.dry_run, views)


ROUTES = (Route("POST", "/results/prune", Role.ADMIN, prune_results, Pruned, body=PruneRequest),)
