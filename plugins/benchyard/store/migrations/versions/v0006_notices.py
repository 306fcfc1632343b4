"""Notices: what people are told, what became of it at each notifier, and addresses to tell it to."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def _kept(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def upgrade() -> None:
    op.add_column("benchyard_users", sa.Column("mail", sa.Text))
    op.create_table(
        "benchyard_notices",
        sa.Column("id", sa.Integer, primary_key=True),
        _kept("key", sa.Text),
        _kept("kind", sa.Text),
        _kept("time", sa.Float),
        sa.Column("target", sa.Text),
        _kept("subject", sa.Text),
        _kept("body", sa.Text),
        _kept("users", sa.Text),
        _kept("data", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("benchyard_notices_key", "benchyard_notices", ["key"], unique=True)
    op.create_index("benchyard_notices_time", "benchyard_notices", ["time"])
    op.create_table(
        "benchyard_tellings",
        sa.Column(
            "notice_id", sa.Integer, sa.ForeignKey("benchyard_notices.id"), primary_key=True, autoincrement=False
        ),
        sa.Column("notifier", sa.Text, primary_key=True),
        _kept("time", sa.Float),
        _kept("outcome", sa.Text),
        _kept("words", sa.Text),
    )
    op.create_table(
        "benchyard_notifiers",
        sa.Column("name", sa.Text, primary_key=True),
        _kept("since", sa.Float),
        _kept("holder", sa.Text),
        _kept("until", sa.Float),
    )
    op.create_table(
        "benchyard_watches",
        sa.Column("name", sa.Text, primary_key=True),
        _kept("since", sa.Float),
        _kept("position", sa.Integer),
    )
