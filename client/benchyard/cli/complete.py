"""What the shell offers for the names of jobs, results, hosts, users, targets and destinations: it asks the lab.

A key was pressed and somebody waits: the lab has one second, and whatever goes wrong is silence.
"""

import os
from collections.abc import Callable, Iterable
from threading import Thread
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from benchyard.cli.format import clean

if TYPE_CHECKING:
    from benchyard.client import Client

LONGEST_S = 1.0
NEWEST = 50
"""How many of the newest jobs or results are offered."""

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
Offer = tuple[str, str]
"""A name and a few words about it."""


def jobs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer `current`, `last` and the newest jobs."""

    def find(client: "Client") -> Iterable[Offer]:
        found = client.jobs.list(limit=NEWEST)
        return [(str(job.id), f"{job.status} {job.reason or job.spec.interpreter}") for job in found]

    return _words(incomplete, "current", "last") + _from_lab(ctx, incomplete, find)


def results(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer `last` and the newest results."""

    def find(client: "Client") -> Iterable[Offer]:
        return [(str(result.id), result.version or "") for result in client.results.list(limit=NEWEST)]

    return _words(incomplete, "last") + _from_lab(ctx, incomplete, find)


def selectors(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer what can be compared: `last`, the newest results, their branches, commits and versions; else files."""

    def find(client: "Client") -> Iterable[Offer]:
        newest = list(client.results.list(limit=NEWEST))
        offers = [(str(result.id), result.version or "") for result in newest]
        offers += [(result.branch, "branch") for result in newest if result.branch]
        offers += [(result.commit[:12], result.version or "") for result in newest if result.commit]
        offers += [(f"python:{result.version}", "") for result in newest if result.version]
        return dict.fromkeys(offers)

    found = _words(incomplete, "last") + _from_lab(ctx, incomplete, find)
    return found or [CompletionItem(incomplete, type="file")]


def hosts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the hosts."""
    return _from_lab(ctx, incomplete, lambda client: [(host.name, host.status) for host in client.hosts.list()])


def users(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the users, to those who may see them."""
    return _from_lab(ctx, incomplete, lambda client: [(user.name, user.role) for user in client.users.list()])


def targets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the targets."""
    return _from_lab(ctx, incomplete, lambda client: [(queue.target, "") for queue in client.queues.list()])


def destinations(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the places that the lab publishes at."""

    def find(client: "Client") -> Iterable[Offer]:
        return [(found.name, found.kind or "") for found in client.uploads.destinations()]

    return _from_lab(ctx, incomplete, find)


def _words(incomplete: str, *words: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _from_lab(ctx: click.Context, incomplete: str, find: Callable[["Client"], Iterable[Offer]]) -> list[CompletionItem]:
    from benchyard.client import Client, ClientError

    offers: list[Offer] = []

    def ask() -> None:
        try:
            with Client(_url(ctx), timeout_s=LONGEST_S) as client:
                offers.extend(find(client))
        except (ClientError, OSError):
            return

    # In a thread, since a lab that answers drop by drop keeps to each timeout of a connection and not to the sum.
    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(LONGEST_S)
    return [CompletionItem(name, help=clean(help)) for name, help in [*offers] if name.startswith(incomplete)]


def _url(ctx: click.Context) -> str | None:
    given = ctx.params.get("url") or ctx.find_root().params.get("url")
    return given or os.environ.get("BENCHYARD_URL") or None
