"""`benchyard host`: the machines of a lab."""

from typing import TYPE_CHECKING, Literal

import click

from benchyard.cli import hostcare, hostedit
from benchyard.cli.format import local_time, measured, percent, spent
from benchyard.cli.hostedit import ROLES, says_all, status_words
from benchyard.cli.hostnoise import show_noise
from benchyard.cli.listing import Field, Listing, list_options
from benchyard.cli.options import connect, host_argument, lab_options, target_option

if TYPE_CHECKING:
    from benchyard.cli.output import Cell
    from benchyard.client import Host
    from benchyard.client.hosts import Finding

STATUS_STYLES = {"online": "green", "busy": "cyan", "leased": "yellow", "offline": "red", "quarantined": "red"}


@click.group("host")
def hosts() -> None:
    """List, add, change and look after the machines of a lab."""


hosts.add_command(show_noise)
for command in (*hostcare.COMMANDS, *hostedit.COMMANDS):
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
            ("status", status_words(found)),
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

    return Cell(status_words(host), STATUS_STYLES.get(host.status, "") if says_all(host) else "dim")


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
