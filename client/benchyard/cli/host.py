"""`benchyard host`: the machines of a lab."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from benchyard.cli.asking import confirm, yes_option
from benchyard.cli.format import local_time, measured, percent, spent
from benchyard.cli.hostcare import COMMANDS
from benchyard.cli.hostnoise import show_noise
from benchyard.cli.listing import Field, Listing, list_options
from benchyard.cli.options import connect, host_argument, lab_options, target_option

if TYPE_CHECKING:
    from benchyard.cli.output import Cell
    from benchyard.client import Host
    from benchyard.client.hosts import Finding

STATUS_STYLES = {"online": "green", "busy": "cyan", "leased": "yellow", "offline": "red", "quarantined": "red"}
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


@click.group("host")
def hosts() -> None:
    """List, add, change and look after the machines of a lab."""


hosts.add_command(show_noise)
for command in COMMANDS:
    hosts.add_command(command)


@hosts.command("list")
@click.option("--role", type=ROLES, help="Hosts of this role.")
@target_option("Hosts of this target.")
@click.option("--status", metavar="STATUS", help="Hosts of this status, like offline or leased.")
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
            ("does", _work(found)),
            ("leased", _lease(found)),
            ("last seen", None if found.connected or not found.last_seen else f"{spent(found.last_seen)} ago"),
            ("role", found.role),
            ("target", found.target),
            ("address", found.address),
            ("CPUs", found.cpus),
            ("tune", "yes" if found.tune else "no"),
            ("shield", "yes" if found.shield else "no"),
            ("guard", f"{found.guard}, after waiting {found.guard_wait_s:g} s"),
            ("reached", " as ".join(part for part in (found.connection, found.ansible_user) if part)),
            ("fitness", _fitness(found)),
            *((f"  {finding.check}", finding.message) for finding in _bad(found)),
            ("grade", f"{found.grade}, of its newest result" if found.grade else None),
            ("epoch", _epoch(found)),
            ("calibrated", f"{spent(found.calibrated)} ago" if found.calibrated else None),
            ("noise", None if found.noise_floor is None else f"{percent(found.noise_floor)} in the median"),
            ("free disk", _disk(found)),
            ("versions", ", ".join(f"{name} {version}" for name, version in found.versions.items())),
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


def _status(host: "Host") -> str:
    return host.status if _is_shown(host) else f"{host.status}, disabled"


def _is_shown(host: "Host") -> bool:
    """Whether the status alone says all; whoever is quarantined is disabled as well."""
    return host.enabled or host.status == "quarantined"


def _work(host: "Host") -> str:
    """What a host does, like "measure of job 7: nbody"."""
    work = host.work
    if work is None:
        return ""
    text = work.stage + (f" of job {work.job}" if work.job is not None else "")
    return f"{text}: {work.benchmark}" if work.benchmark else text


def _lease(host: "Host") -> str:
    if host.leased_until is None:
        return ""
    until = f"to {host.leased_by} until {local_time(host.leased_until)}"
    return f"{until}: {host.lease_reason}" if host.lease_reason else until


def _bad(host: "Host") -> "list[Finding]":
    return [finding for finding in (host.fitness.findings if host.fitness else ()) if finding.severity == "refuse"]


def _fitness(host: "Host") -> str:
    """Whether the last check has found the host fit, and when that was."""
    if host.fitness is None:
        return ""
    return f"{'fit' if host.fitness.fit else 'not fit'}, {spent(host.fitness.checked)} ago"


def _fitness_cell(host: "Host") -> "Cell | None":
    from benchyard.cli.output import Cell

    if host.fitness is None:
        return None
    return Cell("fit", "green") if host.fitness.fit else Cell("unfit", "red")


def _disk(host: "Host") -> str:
    return "" if host.disk_free is None else measured(host.disk_free, None, "byte")


def _seen(host: "Host") -> str:
    return "now" if host.connected else local_time(host.last_seen)


def _epoch(host: "Host") -> str:
    return f"{host.epoch} since {local_time(host.epoch_since)}" if host.epoch else ""


def _status_cell(host: "Host") -> "Cell":
    from benchyard.cli.output import Cell

    return Cell(_status(host), STATUS_STYLES.get(host.status, "") if _is_shown(host) else "dim")


FIELDS: "tuple[Field[Host], ...]" = (
    Field("host", lambda host: host.name),
    Field("status", _status_cell),
    Field("role", lambda host: host.role),
    Field("target", lambda host: host.target, rank=1),
    Field("address", lambda host: host.address, flexible=True, rank=2),
    Field("cpus", lambda host: host.cpus),
    Field("does", _work, flexible=True, rank=5),
    Field("fitness", _fitness_cell, rank=4),
    Field("epoch", _epoch, rank=3),
    Field("noise", lambda host: percent(host.noise_floor), right=True, rank=6),
    Field("calibrated", lambda host: local_time(host.calibrated), extra=True),
    Field("seen", _seen, extra=True),
    Field("lease", _lease, flexible=True, extra=True),
    Field("grade", lambda host: host.grade, extra=True),
    Field("disk", _disk, right=True, extra=True),
    Field("version", lambda host: host.versions.get("benchyard"), extra=True),
    Field("kernel", lambda host: host.versions.get("kernel"), extra=True),
    Field("job", lambda host: str(host.current_job or ""), right=True, extra=True),
    Field("reason", lambda host: host.reason, flexible=True, extra=True),
    Field("created", lambda host: local_time(host.created), extra=True),
    Field("changed", lambda host: local_time(host.changed), extra=True),
    Field("by", lambda host: host.changed_by, extra=True),
)
