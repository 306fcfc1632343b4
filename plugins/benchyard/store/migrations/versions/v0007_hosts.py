"""What the lab knows of its hosts: leases, checks, maintenance, and when they were seen."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("benchyard_hosts", sa.Column("seen", sa.Float))
    op.add_column("benchyard_hosts", sa.Column("leased_until", sa.Float))
    op.add_column("benchyard_hosts", sa.Column("leased_by", sa.Text))
    op.add_column("benchyard_hosts", sa.Column("lease_reason", sa.Text))
    op.add_column("benchyard_hosts", sa.Column("maintained", sa.Integer))
    op.add_column("benchyard_hosts", sa.Column("broken_by", sa.Integer))
    op.add_column("benchyard_hosts", sa.Column("fitness", sa.Text))
    op.create_index("benchyard_jobs_kind", "benchyard_jobs", ["kind", "status", "id"])
