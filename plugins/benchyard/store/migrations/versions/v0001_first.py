"""The first tables: users, tokens, hosts, jobs, attempts, results and history.

Written out, and not taken from `benchyard.store.tables`: a migration stays as it is while the tables go on.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _kept(name: str, kind: Any, *constraints: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, *constraints, nullable=False)


def upgrade() -> None:
    op.create_table(
        "benchyard_users",
        sa.Column("id", sa.Integer, primary_key=True),
        _kept("name", sa.Text),
        sa.Column("password_hash", sa.Text),
        _kept("role", sa.Text),
        _kept("status", sa.Text),
        _kept("enabled", sa.SmallInteger),
        _kept("created", sa.Float),
        _kept("changed", sa.Float),
        _kept("changed_by", sa.Text),
    )
    op.create_index("benchyard_users_name", "benchyard_users", ["name"], unique=True)
    op.create_table(
        "benchyard_tokens",
        sa.Column("id", sa.Integer, primary_key=True),
        _kept("user_id", sa.Integer, sa.ForeignKey("benchyard_users.id")),
        _kept("name", sa.Text),
        _kept("token_hash", sa.Text),
        _kept("created", sa.Float),
        sa.Column("expires", sa.Float),
        sa.Column("revoked", sa.Float),
        _kept("read_only", sa.SmallInteger),
    )
    op.create_index("benchyard_tokens_hash", "benchyard_tokens", ["token_hash"], unique=True)
    op.create_index("benchyard_tokens_user", "benchyard_tokens", ["user_id"])
    op.create_table(
        "benchyard_hosts",
        sa.Column("name", sa.Text, primary_key=True),
        _kept("enabled", sa.SmallInteger),
        _kept("reason", sa.Text),
        _kept("created", sa.Float),
        _kept("changed", sa.Float),
        _kept("changed_by", sa.Text),
    )
    op.create_table(
        "benchyard_jobs",
        sa.Column("id", sa.Integer, primary_key=True),
        _kept("kind", sa.Text),
        _kept("target", sa.Text),
        sa.Column("host", sa.Text),
        _kept("status", sa.Text),
        _kept("enabled", sa.SmallInteger),
        _kept("spec", sa.Text),
        _kept("owner", sa.Text),
        _kept("origin", sa.Text),
        _kept("reason", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("request_id", sa.Integer),
        _kept("pushes", sa.Integer),
        sa.Column("progress", sa.Text),
        sa.Column("cancel_by", sa.Text),
        _kept("created", sa.Float),
        _kept("changed", sa.Float),
        _kept("changed_by", sa.Text),
        sa.Column("queued", sa.Float),
        sa.Column("started", sa.Float),
        sa.Column("finished", sa.Float),
        sqlite_autoincrement=True,
    )
    op.create_index("benchyard_jobs_request", "benchyard_jobs", ["request_id"], unique=True)
    op.create_index("benchyard_jobs_status", "benchyard_jobs", ["status", "target", "id"])
    op.create_index("benchyard_jobs_owner", "benchyard_jobs", ["owner", "id"])
    op.create_table(
        "benchyard_attempts",
        sa.Column("job_id", sa.Integer, sa.ForeignKey("benchyard_jobs.id"), primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("host", sa.Text),
        _kept("status", sa.Text),
        sa.Column("cause", sa.Text),
        sa.Column("report", sa.Text),
        sa.Column("started", sa.Float),
        sa.Column("finished", sa.Float),
    )
    op.create_index("benchyard_attempts_status", "benchyard_attempts", ["status"])
    op.create_table(
        "benchyard_results",
        sa.Column("id", sa.Integer, primary_key=True),
        _kept("job_id", sa.Integer, sa.ForeignKey("benchyard_jobs.id")),
        _kept("attempt", sa.Integer),
        _kept("status", sa.Text),
        _kept("enabled", sa.SmallInteger),
        _kept("host", sa.Text),
        _kept("target", sa.Text),
        _kept("interpreter", sa.Text),
        sa.Column("commit", sa.Text),
        sa.Column("branch", sa.Text),
        _kept("version", sa.Text),
        _kept("flags", sa.Text),
        _kept("suite", sa.Text),
        _kept("suite_version", sa.Text),
        _kept("mode", sa.Text),
        _kept("path", sa.Text),
        _kept("sha256", sa.Text),
        _kept("size", sa.BigInteger),
        _kept("benchmarks", sa.Integer),
        _kept("failed", sa.Text),
        _kept("created", sa.Float),
        _kept("changed", sa.Float),
        _kept("changed_by", sa.Text),
    )
    op.create_index("benchyard_results_run", "benchyard_results", ["job_id", "attempt"], unique=True)
    op.create_index("benchyard_results_host", "benchyard_results", ["host", "id"])
    op.create_index("benchyard_results_target", "benchyard_results", ["target", "id"])
    op.create_table(
        "benchyard_history",
        sa.Column("id", sa.Integer, primary_key=True),
        _kept("entity", sa.Text),
        _kept("entity_id", sa.Text),
        _kept("time", sa.Float),
        _kept("who", sa.Text),
        _kept("change", sa.Text),
    )
    op.create_index("benchyard_history_entity", "benchyard_history", ["entity", "entity_id", "id"])
