"""`benchyard host`: the machines of a lab."""

from typing import TYPE_CHECKING, Any, Literal

import click

from benchyard.cli.asking import confirm, yes_option
from benchyard.cli.format import local_time, percent, spent
from benchyard.cli.hostnoise import show_noise
from benchyard.cli.listing import Field, Listing, list_options
from benchyard.cli.options import connect, host_argument, lab_options, target_option

if TYPE_CHECKING:
    from benchyard.cli.output import Cell
    from benchyard.client import Host

STATUS_STYLES = {"online": "green", "busy": "cyan", "offline": "red", "quarantined": "red"}
ROLES = click.Choice(["worker", "isolated"])


@click.group("host")
def hosts() -> None:
    """List, add, change and look after the machines of a lab."""


hosts.add_command(show_noise)


@hosts.command("list")
@click.option("--role", type=ROLES, help="Hosts of this role.")
@target_option("Hosts of this target.")
@click.option("--status", metavar="STATUS", help="Hosts of this status: online, offline, busy, quarantined.")
@list_options
def list_hosts(
    role: Literal["worker", "isolated"] | None, target: str | None, status: str | None, how: Listing
) -> None:
    """List hosts.

    Example: benchyard host list --role isolated --status offline
    """
    with how.connect() as client:
        pages = client.hosts.list(role=role, target=target, status=status, limit=how.limit, cursor=how.cursor)
        how.show(pages, FIELDS, empty="no hosts")


@hosts.command("get")
@host_argument
@lab_options
def get_host(host: str, url: str | None, as_json: bool) -> None:
    """Show a host.

    Example: benchyard host get quiet-1
    """
    from benchyard.cli.output import print_fields, print_json

    with connect(url) as client:
        found = client.hosts.get(host)
    if as_json:
        print_json(found.document)
        return
    print_fields(
        (
            ("host", found.name),
            ("status", _status(found)),
            ("reason", found.reason),
            ("job", found.current_job),
            ("role", found.role),
            ("target", found.target),
            ("address", found.address),
            ("CPUs", found.cpus),
            ("epoch", _epoch(found)),
            ("calibrated", f"{spent(found.calibrated)} ago" if found.calibrated else None),
            ("noise", None if found.noise_floor is None else f"{percent(found.noise_floor)} in the median"),
            ("created", local_time(found.created)),
            ("changed", f"{local_time(found.changed)} by {found.changed_by}" if found.changed_by else None),
        )
    )


@hosts.command("add")
@click.argument("host")
@click.option(
    "--role",
    type=ROLES,
    required=True,
    help="A worker prepares and builds; an isolated host measures and does nothing else.",
)
@click.option("--target", metavar="TARGET", required=True, help="What it is, like linux-x86_64.")
@click.option("--address", metavar="ADDRESS", required=True, help="Where it is in the network.")
@click.option("--cpus", metavar="LIST", help="CPUs to measure on, like 2-3.")
@lab_options
def add_host(
    host: str,
    role: Literal["worker", "isolated"],
    target: str,
    address: str,
    cpus: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Add a machine to the lab (as an admin), and show once the secret that its worker needs.

    On the machine itself `benchyard worker init` does this and sets the worker up.

    Example: benchyard host add quiet-2 --role isolated --target linux-x86_64 --address 10.0.0.2 --cpus 2-3
    """
    from benchyard.cli.output import print_fields, print_json

    with connect(url) as client:
        added = client.hosts.add(host, role=role, target=target, address=address, cpus=cpus)
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


@hosts.command("remove")
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
        confirm(f"Remove host {found.name} ({_status(found)})?", yes)
        found.remove()
    say(f"host {found.name}: removed", {"id": found.name, "status": "removed"}, as_json)


@hosts.command("modify")
@host_argument
@target_option("What it is, like linux-x86_64.")
@click.option("--address", metavar="ADDRESS", help="Where it is in the network.")
@click.option("--cpus", metavar="LIST", help="CPUs to measure on, like 2-3.")
@lab_options
def modify_host(
    host: str, target: str | None, address: str | None, cpus: str | None, url: str | None, as_json: bool
) -> None:
    """Change what the lab knows of a host (as an admin).

    Example: benchyard host modify quiet-2 --cpus 3
    """
    from benchyard.cli.output import say

    given = {"target": target, "address": address, "cpus": cpus}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError("say what to change, like --cpus 2-3")
    with connect(url) as client:
        found = client.hosts.get(host).modify(**changes)
    say(f"host {found.name}: changed ({', '.join(changes)})", found.document, as_json)


@hosts.command("enable")
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
    say(f"host {found.name}: {_status(found)}", found.document, as_json)


@hosts.command("disable")
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
    say(f"host {found.name}: {_status(found)}", found.document, as_json)


@hosts.command("configure")
@host_argument
@lab_options
def configure_host(host: str, url: str | None, as_json: bool) -> None:
    """Have a host set up as the lab wants it, by a job.

    Example: benchyard host configure quiet-1
    """
    _maintain("configure", host, url, as_json)


@hosts.command("update")
@host_argument
@lab_options
def update_host(host: str, url: str | None, as_json: bool) -> None:
    """Have a host's software brought up to date, by a job.

    Example: benchyard host update quiet-1
    """
    _maintain("update", host, url, as_json)


@hosts.command("check")
@host_argument
@lab_options
def check_host(host: str, url: str | None, as_json: bool) -> None:
    """Have a host looked over for whether it is fit to measure, by a job.

    Example: benchyard host check quiet-1
    """
    _maintain("check", host, url, as_json)


def _maintain(what: Literal["configure", "update", "check"], host: str, url: str | None, as_json: bool) -> None:
    from benchyard.cli.output import say
    from benchyard.cli.watch import describe

    with connect(url) as client:
        found = client.hosts.get(host)
        job = {"configure": found.configure, "update": found.update, "check": found.check}[what]()
    say(f"job {job.id}: {describe(job)}", job.document, as_json)


def _status(host: "Host") -> str:
    return host.status if _is_shown(host) else f"{host.status}, disabled"


def _is_shown(host: "Host") -> bool:
    """Whether the status alone says all; whoever is quarantined is disabled as well."""
    return host.enabled or host.status == "quarantined"


def _epoch(host: "Host") -> str:
    return f"{host.epoch} since {local_time(host.epoch_since)}" if host.epoch else ""


def _status_cell(host: "Host") -> "Cell":
    from benchyard.cli.output import Cell

    return Cell(
        _status(host), STATUS_STYLES.get(host.status, "") if host.enabled or host.status == "quarantined" else "dim"
    )


FIELDS: "tuple[Field[Host], ...]" = (
    Field("host", lambda host: host.name),
    Field("status", _status_cell),
    Field("role", lambda host: host.role),
    Field("target", lambda host: host.target, rank=1),
    Field("address", lambda host: host.address, flexible=True, rank=2),
    Field("cpus", lambda host: host.cpus),
    Field("epoch", _epoch, rank=3),
    Field("noise", lambda host: percent(host.noise_floor), right=True, extra=True),
    Field("calibrated", lambda host: local_time(host.calibrated), extra=True),
    Field("job", lambda host: str(host.current_job or ""), right=True, extra=True),
    Field("reason", lambda host: host.reason, flexible=True, extra=True),
    Field("created", lambda host: local_time(host.created), extra=True),
    Field("changed", lambda host: local_time(host.changed), extra=True),
    Field("by", lambda host: host.changed_by, extra=True),
)
