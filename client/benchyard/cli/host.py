"""`benchyard host`: list and add the machines of a lab."""

from typing import TYPE_CHECKING, Literal

import click

from benchyard.cli.options import connect, lab_options

if TYPE_CHECKING:
    from benchyard.client import Host

STATUS_STYLES = {"online": "green", "busy": "cyan", "offline": "red"}


@click.group("host")
def hosts() -> None:
    """List and add the machines of a lab."""


@hosts.command("list")
@lab_options
def list_hosts(url: str | None, as_json: bool) -> None:
    """List hosts."""
    from benchyard.cli.output import Cell, Column, print_json, print_table

    with connect(url) as client:
        pages = client.hosts.list()
        listed = list(pages)
    if as_json:
        print_json({"items": [found.document for found in listed], "next": pages.next})
        return
    columns = (
        Column("HOST"),
        Column("STATUS"),
        Column("ROLE"),
        Column("TARGET"),
        Column("ADDRESS", flexible=True),
        Column("CPUS"),
    )
    rows = (
        (
            found.name,
            Cell(_status(found), STATUS_STYLES.get(found.status, "") if found.enabled else "dim"),
            found.role,
            found.target or "",
            found.address or "",
            found.cpus or "",
        )
        for found in listed
    )
    print_table(columns, rows, empty="no hosts")


@hosts.command("get")
@click.argument("host")
@lab_options
def get_host(host: str, url: str | None, as_json: bool) -> None:
    """Show a host."""
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
            ("role", found.role),
            ("target", found.target),
            ("address", found.address),
            ("CPUs", found.cpus),
        )
    )


@hosts.command("add")
@click.argument("host")
@click.option(
    "--role",
    type=click.Choice(["worker", "isolated"]),
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
    """Add a machine to the lab (as an administrator), and show once the secret that its worker needs."""
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


def _status(host: "Host") -> str:
    return host.status if host.enabled else f"{host.status}, disabled"
