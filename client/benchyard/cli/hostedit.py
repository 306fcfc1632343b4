"""The commands of `benchyard host` that add, change and remove hosts."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from benchyard.cli.asking import confirm, yes_option
from benchyard.cli.options import connect, host_argument, lab_options, target_option

if TYPE_CHECKING:
    from benchyard.client import Host

ROLES = click.Choice(["worker", "isolated"])
F = TypeVar("F", bound=Callable[..., Any])


def care_options(command: F) -> F:
    """Give a command the options that say how a host is looked after, and how playbooks reach it."""
    options = (
        click.option("--cpus", metavar="LIST", help="CPUs to measure on, like 2-3."),
        click.option("--tune/--no-tune", default=None, help="Set its knobs for the time of a run."),
        click.option("--shield/--no-shield", default=None, help="Keep all others off these CPUs meanwhile."),
        click.option(
            "--guard",
            type=click.Choice(["strict", "warn", "off"]),
            help="What becomes of a run where the host is not fit: refused, or made and said so.",
        ),
        click.option(
            "--guard-wait", type=click.FloatRange(0), metavar="SECONDS", help="Wait so long for it to be fit."
        ),
        click.option("--ansible-user", metavar="USER", help="Who playbooks log in as there."),
        click.option("--connection", metavar="NAME", help="Ansible's connection to it, if not SSH."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _given(cares: dict[str, Any]) -> dict[str, Any]:
    """What was said of these options."""
    cares["guard_wait_s"] = cares.pop("guard_wait")
    return {name: value for name, value in cares.items() if value is not None}


@click.command("add")
@click.argument("host")
@click.option(
    "--role",
    type=ROLES,
    required=True,
    help="A worker prepares and builds; an isolated host measures and does nothing else.",
)
@click.option("--target", metavar="TARGET", required=True, help="What it is, like linux-x86_64.")
@click.option("--address", metavar="ADDRESS", required=True, help="Where it is in the network.")
@care_options
@lab_options
def add_host(
    host: str,
    role: Literal["worker", "isolated"],
    target: str,
    address: str,
    url: str | None,
    as_json: bool,
    **cares: Any,
) -> None:
    """Add a machine to the lab (as an admin), and show once the secret that its worker needs.

    On the machine itself `benchyard worker init` does this and sets the worker up; `benchyard host configure` does
    that from the lab.

    Example: benchyard host add quiet-2 --role isolated --target linux-x86_64 --address 10.0.0.2 --cpus 2-3
    """
    from benchyard.cli.output import print_fields, print_json

    with connect(url) as client:
        added = client.hosts.add(host, role=role, target=target, address=address, **_given(cares))
    if as_json:
        print_json(added.document)
        return
    click.echo(f"host {added.host.name} is added. Its worker needs this, which is not shown again:")
    print_fields(
        (
            ("worker", added.worker.name),
            ("secret", added.worker.secret),
            ("master", f"{added.worker.master_host}:{added.worker.master_port}"),
        )
    )


@click.command("remove")
@host_argument
@yes_option
@lab_options
def remove_host(host: str, yes: bool, url: str | None, as_json: bool) -> None:
    """Remove a host from the lab; its results stay. Not while it measures.

    Example: benchyard host remove quiet-2 --yes
    """
    from benchyard.cli.output import say

    with connect(url) as client:
        found = client.hosts.get(host)
        confirm(f"Remove host {found.name} ({status_words(found)})?", yes)
        found.remove()
    say(f"host {found.name}: removed", {"id": found.name, "status": "removed"}, as_json)


@click.command("modify")
@host_argument
@target_option("What it is, like linux-x86_64.")
@click.option("--address", metavar="ADDRESS", help="Where it is in the network.")
@care_options
@lab_options
def modify_host(
    host: str, target: str | None, address: str | None, url: str | None, as_json: bool, **cares: Any
) -> None:
    """Change what the lab knows of a host (as an admin); nothing is restarted, and jobs that run are not touched.

    Example: benchyard host modify quiet-2 --cpus 3 --guard strict
    """
    from benchyard.cli.output import say

    where = {"target": target, "address": address}
    changes = {name: value for name, value in where.items() if value is not None} | _given(cares)
    if not changes:
        raise click.UsageError("say what to change, like --cpus 2-3")
    with connect(url) as client:
        found = client.hosts.get(host).modify(**changes)
    say(f"host {found.name}: changed ({', '.join(changes)})", found.document, as_json)


@click.command("enable")
@host_argument
@click.option("--reason", metavar="TEXT", help="Why.")
@lab_options
def enable_host(host: str, reason: str | None, url: str | None, as_json: bool) -> None:
    """Give a host jobs again.

    Example: benchyard host enable quiet-1
    """
    from benchyard.cli.output import say

    with connect(url) as client:
        found = client.hosts.get(host).enable(reason)
    say(f"host {found.name}: {status_words(found)}", found.document, as_json)


@click.command("disable")
@host_argument
@click.option("--reason", metavar="TEXT", help="Why, for those who see the host.")
@lab_options
def disable_host(host: str, reason: str | None, url: str | None, as_json: bool) -> None:
    """Give a host no more jobs; the one that runs there ends.

    Example: benchyard host disable quiet-1 --reason "new fan"
    """
    from benchyard.cli.output import say

    with connect(url) as client:
        found = client.hosts.get(host).disable(reason)
    say(f"host {found.name}: {status_words(found)}", found.document, as_json)


def status_words(host: "Host") -> str:
    """Return the status of a host, and whether it is disabled as well."""
    return host.status if says_all(host) else f"{host.status}, disabled"


def says_all(host: "Host") -> bool:
    """Whether the status alone says all; whoever is quarantined is disabled as well."""
    return host.enabled or host.status == "quarantined"


COMMANDS = (add_host, remove_host, modify_host, enable_host, disable_host)
