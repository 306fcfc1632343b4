"""Interpreters that the lab builds, patches, and what jobs need to be measured with one."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def _kept(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def upgrade() -> None:
    op.create_table(
        "benchyard_interpreters",
        sa.Column("id", sa.Text, primary_key=True),
        _kept("target", sa.Text),
        _kept("recipe", sa.Text),
        _kept("toolchain", sa.Text),
        _kept("record", sa.Text),
        _kept("sha256", sa.Text),
        _kept("size", sa.BigInteger),
        _kept("smoke", sa.Text),
        sa.Column("job_id", sa.Integer),
        _kept("made", sa.Float),
        _kept("used", sa.Float),
    )
    op.create_index("benchyard_interpreters_target", "benchyard_interpreters", ["target", "made"])
    op.create_index("benchyard_interpreters_recipe", "benchyard_interpreters", ["recipe"])
    op.create_table(
        "benchyard_patches",
        sa.Column("id", sa.Text, primary_key=True),
        _kept("text", sa.Text),
    )
    op.add_column("benchyard_jobs", sa.Column("base_job", sa.Integer))
    op.add_column("benchyard_jobs", sa.Column("identity", sa.Text))
    op.add_column("benchyard_jobs", sa.Column("prepared", sa.Text))
    op.create_index("benchyard_jobs_base", "benchyard_jobs", ["base_job"])
    op.create_index("benchyard_jobs_identity", "benchyard_jobs", ["identity", "status", "id"])
