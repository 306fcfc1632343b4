"""How far results can be trusted: grades and fingerprints, the epochs of hosts, calibrations and their noise."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def _kept(name: str, kind: Any, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, **more)


def upgrade() -> None:
    # What is there was measured by jobs of the one kind that there was.
    op.add_column("benchyard_results", _kept("kind", sa.Text, server_default="benchmarks"))
    op.add_column("benchyard_results", sa.Column("grade", sa.Text))
    op.add_column("benchyard_results", _kept("grade_reasons", sa.Text, server_default="[]"))
    op.add_column("benchyard_results", sa.Column("fingerprint", sa.Text))
    op.add_column("benchyard_results", sa.Column("fingerprint_id", sa.Text))
    op.add_column("benchyard_results", sa.Column("epoch", sa.Integer))
    op.add_column("benchyard_hosts", sa.Column("quarantined", sa.Float))
    op.add_column("benchyard_hosts", sa.Column("band_since", sa.Float))
    op.create_table(
        "benchyard_epochs",
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        _kept("host_fingerprint", sa.Text),
        _kept("fingerprint", sa.Text),
        _kept("since", sa.Float),
        _kept("result_id", sa.Integer),
    )
    op.create_table(
        "benchyard_calibrations",
        sa.Column("result_id", sa.Integer, primary_key=True, autoincrement=False),
        _kept("host", sa.Text),
        _kept("epoch", sa.Integer),
        _kept("series", sa.Text),
        _kept("made", sa.Float),
        _kept("means", sa.Text),
    )
    op.create_index("benchyard_calibrations_series", "benchyard_calibrations", ["host", "epoch", "series", "result_id"])
    op.create_table(
        "benchyard_noise",
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("benchmark", sa.Text, primary_key=True),
        _kept("floor", sa.Float),
        _kept("runs", sa.Integer),
        _kept("center", sa.Float),
        _kept("unit", sa.Text),
        _kept("updated", sa.Float),
    )
