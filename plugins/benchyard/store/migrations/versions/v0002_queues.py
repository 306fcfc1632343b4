"""Order and pause of queues, answers to repeat, removed jobs, and results that no job has measured."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# How far apart places are, so that a job can be moved between two others without touching them.
_STEP = 2**20

# What a result without a job, or without a file yet, does not have.
_OPTIONAL: dict[str, Any] = {
    "job_id": sa.Integer(),
    "attempt": sa.Integer(),
    "target": sa.Text(),
    "interpreter": sa.Text(),
    "version": sa.Text(),
    "suite": sa.Text(),
    "suite_version": sa.Text(),
    "mode": sa.Text(),
    "path": sa.Text(),
    "sha256": sa.Text(),
    "size": sa.BigInteger(),
}


def _kept(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def upgrade() -> None:
    op.create_table(
        "benchyard_queues",
        sa.Column("target", sa.Text, primary_key=True),
        _kept("paused", sa.SmallInteger),
        sa.Column("paused_by", sa.Text),
        sa.Column("paused_at", sa.Float),
        _kept("reason", sa.Text),
        _kept("version", sa.Integer),
    )
    op.create_table(
        "benchyard_answers",
        sa.Column("user", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        _kept("fingerprint", sa.Text),
        _kept("status", sa.Integer),
        _kept("body", sa.Text),
        _kept("created", sa.Float),
    )
    op.create_index("benchyard_answers_created", "benchyard_answers", ["created"])
    op.add_column("benchyard_jobs", sa.Column("place", sa.BigInteger))
    op.add_column("benchyard_jobs", sa.Column("removed", sa.Float))
    op.add_column("benchyard_jobs", sa.Column("shape", sa.Text))
    op.create_index("benchyard_jobs_shape", "benchyard_jobs", ["shape", "status", "id"])
    op.create_index("benchyard_jobs_place", "benchyard_jobs", ["target", "place", "id"])
    op.create_index("benchyard_jobs_target", "benchyard_jobs", ["target", "id"])
    listed = sa.text("removed IS NULL")
    op.create_index(
        "benchyard_jobs_listed", "benchyard_jobs", ["status", "id"], sqlite_where=listed, postgresql_where=listed
    )
    op.create_index("benchyard_attempts_host", "benchyard_attempts", ["host", "job_id"])
    _give_places()
    _open_results()
    op.create_index("benchyard_results_owner", "benchyard_results", ["owner", "id"])
    op.create_index("benchyard_results_branch", "benchyard_results", ["branch", "id"])
    op.create_index("benchyard_results_commit", "benchyard_results", ["commit"])


def _give_places() -> None:
    """Jobs that have begun come first, then the others by request: the order in which they would have started."""
    conn = op.get_bind()
    jobs = sa.table("benchyard_jobs", *map(sa.column, ("id", "target", "status", "request_id", "place")))
    queued = sa.select(jobs.c.id, jobs.c.target).where(jobs.c.status.in_(("queued", "building", "ready")))
    order = (
        sa.case((jobs.c.status == "queued", 1), else_=0),
        sa.case((jobs.c.request_id.is_(None), 1), else_=0),
        jobs.c.request_id,
        jobs.c.id,
    )
    last: dict[str, int] = {}
    for job_id, target in conn.execute(queued.order_by(*order)).all():
        last[target] = last.get(target, 0) + _STEP
        conn.execute(sa.update(jobs).where(jobs.c.id == job_id).values(place=last[target]))


def _open_results() -> None:
    """Two steps, as what is there needs an owner before the column can insist on one."""
    with op.batch_alter_table("benchyard_results") as batch:
        for name, kind in _OPTIONAL.items():
            batch.alter_column(name, existing_type=kind, nullable=True)
        batch.add_column(sa.Column("owner", sa.Text))
        batch.add_column(sa.Column("note", sa.Text))
        batch.add_column(sa.Column("trashed", sa.Float))
    op.execute(
        "UPDATE benchyard_results SET note = '', "
        "owner = (SELECT owner FROM benchyard_jobs WHERE benchyard_jobs.id = benchyard_results.job_id)"
    )
    with op.batch_alter_table("benchyard_results") as batch:
        for name in ("owner", "note"):
            batch.alter_column(name, existing_type=sa.Text(), nullable=False)
