"""How the state of a host is shown, be it looked at here or by its lab: what a guard has found, and its knobs."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from benchyard.cli.fitting import Column
from benchyard.cli.output import Cell, print_table

_VERDICTS = {"refuse": Cell("unfit", "red"), "warn": Cell("doubt", "yellow"), "note": Cell("unknown")}
#: What the two values are of knobs that were only looked at.
LOOKED_AT = ("NOW", "MEASURING")
_STYLES = {"failed": "red", "not permitted": "yellow", "changed since": "yellow", "done": "green", "restored": "green"}


class Finding(Protocol):
    """What one check of a guard has found."""

    @property
    def check(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def message(self) -> str: ...


class Knob(Protocol):
    """What is known of one knob."""

    @property
    def knob(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def before(self) -> str | None: ...
    @property
    def after(self) -> str | None: ...
    @property
    def detail(self) -> str: ...


def print_findings(findings: Sequence[Finding], checks: Sequence[str]) -> None:
    """Print the verdict of each check as a table, in the order of the checks."""
    found = {finding.check for finding in findings}
    rows = [
        (finding.check, _VERDICTS.get(finding.severity, Cell(finding.severity)), finding.message)
        for finding in findings
    ]
    rows += [(check, Cell("ok", "green"), "") for check in checks if check not in found]
    order = list(checks)
    rows.sort(key=lambda row: order.index(row[0]) if row[0] in order else len(order))
    print_table([Column("CHECK"), Column("VERDICT"), Column("MESSAGE")], rows, empty="nothing is checked")


def print_knobs(knobs: Iterable[Knob], *, empty: str, titles: tuple[str, str] = ("BEFORE", "AFTER")) -> None:
    """Print what became of knobs, or would, as a table; `titles` are those of their two values."""
    columns = [
        Column("KNOB"),
        Column("STATUS"),
        Column(titles[0], flexible=True, rank=1),
        Column(titles[1], flexible=True),
        Column("DETAIL", flexible=True, rank=2),
    ]
    rows = [
        (knob.knob, Cell(knob.status, _STYLES.get(knob.status, "")), knob.before or "", knob.after or "", knob.detail)
        for knob in knobs
    ]
    print_table(columns, rows, empty=empty)
