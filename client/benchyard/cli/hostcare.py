"""The commands of `benchyard host` that look after a host: configure, update, check, lease, and the inventory."""

import re
from typing import TYPE_CHECKING, Any

import click

from benchyard.cli.format import local_time
from benchyard.cli.options import connect, host_argument, lab_options

if TYPE_CHECKING:
    from benchyard.client import Client, Host, Job

_UNITS = {"d": 86400, "h": 3600, "m": 60, "min": 60, "s": 1}
_PART = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(d|h|min|m|s)")

wait_option = click.option("--wait/--no-wait", default=True, help="Wait for its end, which is the default, or do not.")
check_option = click.option("--check", is_flag=True, help="Change nothing, show what would change.")
reason_option = click.option("--reason", metavar="TEXT", help="Why.")


@click.command("configure")
@host_argument
@check_option
@wait_option
@reason_option
@lab_options
def configure_host(host: str, check: bool, wait: bool, reason: str | None, url: str | None, as_json: bool) -> None:
    """Have a host set up as the lab wants it, by a job: users, packages, worker, tuning, isolation.

    It waits for what is measured there, and nothing is measured there until it has ended. If it fails, the host is
    disabled until another succeeds. The host is checked before, if its worker is connected, and afterwards. The status
    is 1 if the job does not succeed.

    Example: benchyard host configure quiet-1 --check
    """
    with connect(url) as client:
        found = client.hosts.get(host)
        _see_through(client, found, found.configure(check=check, reason=reason), wait, as_json)


@click.command("update")
@host_argument
@check_option
@click.option("--reboot", is_flag=True, help="Start the host again if that is needed.")
@wait_option
@reason_option
@lab_options
def update_host(
    host: str, check: bool, reboot: bool, wait: bool, reason: str | None, url: str | None, as_json: bool
) -> None:
    """Have a host's software brought up to date, by a job: benchyard itself and the system's packages.

    It goes as `host configure` does.

    Example: benchyard host update quiet-1 --reboot
    """
    with connect(url) as client:
        found = client.hosts.get(host)
        _see_through(client, found, found.update(check=check, reboot=reboot, reason=reason), wait, as_json)


@click.command("check")
@host_argument
@wait_option
@reason_option
@lab_options
def check_host(host: str, wait: bool, reason: str | None, url: str | None, as_json: bool) -> None:
    """Have a host looked over, by a job: is it fit to measure, and how are its knobs set. Nothing is changed.

    It waits for what is measured there. The status is 1 if the host is not fit.

    Example: benchyard host check quiet-1
    """
    from benchyard.cli.fitness import LOOKED_AT, print_findings, print_knobs
    from benchyard.cli.output import print_json
    from benchyard.cli.watch import attach

    with connect(url) as client:
        job = client.hosts.get(host).check(reason=reason)
        if not wait:
            _say(job, as_json)
            return
        job = attach(client, job, err=True)
        found = client.hosts.get(host)
    if not job.succeeded or found.fitness is None:
        if as_json:
            print_json(job.document)
        click.get_current_context().exit(1)
    if as_json:
        print_json(found.document["fitness"])
    else:
        print_findings(found.fitness.findings, found.fitness.checks)
        click.echo()
        print_knobs(found.fitness.knobs, empty="no knob is there", titles=LOOKED_AT)
    click.get_current_context().exit(0 if found.fitness.fit else 1)


def _span(_context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """The seconds of a span like 2h or 1h30m."""
    if value is None:
        return None
    parts = _PART.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise click.BadParameter(f"{value[:40]!r} is no span of time; write 30m, 2h or 1d12h", param=parameter)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


@click.command("lease")
@host_argument
@click.argument("span", metavar="[SPAN]", required=False, callback=_span)
@click.option("--release", is_flag=True, help="End the lease now.")
@click.option("--reason", metavar="TEXT", help="What you do there, for those who see the host.")
@lab_options
def lease_host(
    host: str, span: float | None, release: bool, reason: str | None, url: str | None, as_json: bool
) -> None:
    """Keep the queue off a host for a while (as an admin), since you work on it; once more changes the end.

    What it measures now goes on. The lease ends by itself, and the guard looks before the next run.

    Example: benchyard host lease quiet-1 2h --reason "new fan"
    """
    from benchyard.cli.output import say

    if release == (span is not None):
        raise click.UsageError("say for how long, like 2h, or --release")
    with connect(url) as client:
        found = client.hosts.get(host)
        found = found.release() if span is None else found.lease(span, reason=reason)
    if found.leased_until is None:
        said = f"host {found.name}: {found.status}"
    else:
        said = f"host {found.name}: leased to {found.leased_by} until {local_time(found.leased_until)}"
        said += f"; job {found.current_job} goes on there" if found.current_job else ""
    say(said, found.document, as_json)


@click.command("inventory")
@click.option("--list", "whole", is_flag=True, help="All hosts; so Ansible asks, and so it is anyway.")
@click.option("--host", "one", metavar="HOST", help="The variables of one host; so Ansible may ask, too.")
@lab_options
def show_inventory(whole: bool, one: str | None, url: str | None, as_json: bool) -> None:
    """Print the lab's hosts (as an admin) as Ansible's dynamic inventories are: JSON, without any secret.

    Example: benchyard host inventory
    """
    from benchyard.cli.output import print_json

    with connect(url) as client:
        found = client.hosts.inventory()
    if one is None:
        print_json(found)
        return
    known = found["_meta"]["hostvars"]
    if one not in known:
        raise click.ClickException(f"there is no host {one!r} in the inventory; there are {', '.join(sorted(known))}")
    print_json(known[one])


def _see_through(client: "Client", host: "Host", job: "Job", wait: bool, as_json: bool) -> None:
    """Show a job to its end, and the check that follows it; end the command with its status."""
    from benchyard.cli.output import print_json
    from benchyard.cli.watch import attach

    if not wait:
        _say(job, as_json)
        return
    job = attach(client, job, err=as_json)
    if job.spec.check and not as_json:
        for text in job.log():
            click.echo(text, nl=False)
    after = host.followed_by(job)
    if after is not None and host.refresh().connected:
        after = attach(client, after, err=as_json)
    elif after is not None:
        click.echo(f"job {after.id} checks host {host.name} once its worker is connected", err=as_json)
    if as_json:
        checked: dict[str, Any] | None = None if after is None else after.document
        print_json({"job": job.document, "check": checked})
    click.get_current_context().exit(0 if job.succeeded else 1)


def _say(job: "Job", as_json: bool) -> None:
    from benchyard.cli.output import say
    from benchyard.cli.watch import describe

    say(f"job {job.id}: {describe(job)}", job.document, as_json)


COMMANDS = (configure_host, update_host, check_host, lease_host, show_inventory)
