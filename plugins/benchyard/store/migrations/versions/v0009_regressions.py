"""Regressions: the changes of series that were found, what has become of them, and what people say of them."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def _kept(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def upgrade() -> None:
    op.create_table(
        "benchyard_regressions",
        sa.Column("id", sa.Integer, primary_key=True),
        *(_kept(name, sa.Text) for name in ("key", "host", "flags", "branch", "implementation")),
        *(_kept(name, sa.Text) for name in ("suite", "suite_version", "mode")),
        sa.Column("epoch", sa.Integer),
        *(_kept(name, sa.Text) for name in ("benchmark", "version", "unit", "commit", "commit_before")),
        *(_kept(name, sa.Integer) for name in ("result_id", "result_before", "found_by")),
        *(_kept(name, sa.Float) for name in ("before", "after", "step", "sure")),
        _kept("worse", sa.SmallInteger),
        _kept("status", sa.Text),
        sa.Column("confirmed_by", sa.Integer),
        sa.Column("fixed_by", sa.Text),
        sa.Column("owner", sa.Text),
        _kept("comment", sa.Text),
        _kept("created", sa.Float),
        _kept("changed", sa.Float),
        _kept("changed_by", sa.Text),
    )
    op.create_index("benchyard_regressions_key", "benchyard_regressions", ["key"], unique=True)
    op.create_index("benchyard_regressions_benchmark", "benchyard_regressions", ["benchmark", "host", "id"])
    op.create_index("benchyard_regressions_status", "benchyard_regressions", ["status", "id"])
