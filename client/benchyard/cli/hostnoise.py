"""`benchyard host noise`: how far two runs of the same differ on a host."""

import click

from benchyard.cli.format import local_time, measured, percent, spent
from benchyard.cli.options import connect, host_argument, lab_options


@click.command("noise")
@host_argument
@lab_options
def show_noise(host: str, url: str | None, as_json: bool) -> None:
    """Show how far two runs of the same interpreter differ on a host, by benchmark.

    It is learned from calibrations, anew in each epoch of the host. Of 100 pairs of runs 95 differ by no more.

    Example: benchyard host noise quiet-1
    """
    from benchyard.cli.fitting import Column
    from benchyard.cli.output import print_fields, print_json, print_table

    with connect(url) as client:
        noise = client.hosts.get(host).noise()
    if as_json:
        print_json(noise.document)
        return
    print_fields(
        (
            ("host", noise.host),
            ("epoch", f"{noise.epoch} since {local_time(noise.since)}" if noise.epoch else None),
            ("calibrated", f"{noise.calibrations} times, {spent(noise.calibrated)} ago" if noise.calibrated else None),
            ("noise", None if noise.median is None else f"{percent(noise.median)} in the median"),
        )
    )
    if noise.benchmarks:
        click.echo()
    rows = (
        (each.name, percent(each.floor), str(each.runs), measured(each.center, None, each.unit))
        for each in noise.benchmarks
    )
    columns = (
        Column("BENCHMARK", flexible=True),
        Column("NOISE", right=True),
        Column("RUNS", right=True),
        Column("CENTER", right=True),
    )
    print_table(columns, rows, empty="Its noise is not known: it takes some jobs of kind calibrate in this epoch.")
