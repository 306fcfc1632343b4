"""Uploads: what is to be published where, and who sends it."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def _kept(name: str, kind: Any, *constraints: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, *constraints, nullable=False)


def upgrade() -> None:
    op.create_table(
        "benchyard_uploads",
        sa.Column("id", sa.Integer, primary_key=True),
        _kept("result_id", sa.Integer, sa.ForeignKey("benchyard_results.id")),
        _kept("destination", sa.Text),
        _kept("action", sa.Text),
        _kept("state", sa.Text),
        _kept("words", sa.Text),
        sa.Column("link", sa.Text),
        _kept("slot", sa.Text),
        _kept("asks", sa.Integer),
        _kept("attempts", sa.Integer),
        _kept("asked", sa.Float),
        _kept("asked_by", sa.Text),
        _kept("next_try", sa.Float),
        _kept("deadline", sa.Float),
        sa.Column("begun", sa.Float),
        sa.Column("sent", sa.Float),
        _kept("changed", sa.Float),
    )
    op.create_index("benchyard_uploads_result", "benchyard_uploads", ["result_id", "destination"], unique=True)
    _partial("due", ["destination", "next_try", "asked", "id"], "state = 'pending'")
    _partial("slot", ["destination", "slot", "asked", "id"], "state = 'pending'")
    op.create_index("benchyard_uploads_state", "benchyard_uploads", ["state", "id"])
    op.create_index("benchyard_uploads_destination", "benchyard_uploads", ["destination", "id"])
    _partial("outstanding", ["id"], "state <> 'sent'")
    op.create_table(
        "benchyard_senders",
        sa.Column("destination", sa.Text, primary_key=True),
        _kept("holder", sa.Text),
        _kept("until", sa.Float),
        _kept("words", sa.Text),
        sa.Column("answered", sa.Float),
    )


def _partial(name: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(
        f"benchyard_uploads_{name}",
        "benchyard_uploads",
        columns,
        sqlite_where=condition,
        postgresql_where=condition,
    )
