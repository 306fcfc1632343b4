"""What each benchmark of a result gave, and the samples of results, so that nothing reads their files to compare."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "benchyard_measurements",
        sa.Column("result_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("benchmark", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("mean", sa.Float, nullable=False),
        sa.Column("stdev", sa.Float),
        sa.Column("median", sa.Float, nullable=False),
        sa.Column("mad", sa.Float, nullable=False),
        sa.Column("minimum", sa.Float, nullable=False),
        sa.Column("maximum", sa.Float, nullable=False),
        sa.Column("memory", sa.Float),
        sa.Column("version", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("benchyard_measurements_benchmark", "benchyard_measurements", ["benchmark", "result_id"])
    op.create_table(
        "benchyard_samples",
        sa.Column("result_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("packed", sa.LargeBinary, nullable=False),
    )
    op.add_column("benchyard_results", sa.Column("missing", sa.Float))
    op.create_index("benchyard_results_sha256", "benchyard_results", ["sha256"])
