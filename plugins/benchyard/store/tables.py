"""The tables, all named `benchyard_*`: they live in Buildbot's database beside its own.

A change here needs a migration in `migrations/versions`; a test holds the two equal.
"""

from typing import Any

import sqlalchemy as sa

from benchyard.store.columns import Flag, Json, PlainText

metadata = sa.MetaData()


def _kept(name: str, kind: Any, *constraints: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, *constraints, nullable=False)


# Jobs that were removed are in no list; an index without them answers lists and counts by status alone.
_LISTED = sa.text("removed IS NULL")

# Most uploads were sent long ago: an index without these answers what is outstanding, one with the pending ones alone
# which is next.
_PENDING = sa.text("state = 'pending'")
_OUTSTANDING = sa.text("state <> 'sent'")

users = sa.Table(
    "benchyard_users",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _kept("name", PlainText),
    sa.Column("password_hash", PlainText),
    _kept("role", PlainText),
    _kept("status", PlainText),
    _kept("enabled", Flag),
    _kept("created", sa.Float),
    _kept("changed", sa.Float),
    _kept("changed_by", PlainText),
    sa.Column("mail", PlainText),
    sa.Index("benchyard_users_name", "name", unique=True),
)

tokens = sa.Table(
    "benchyard_tokens",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _kept("user_id", sa.Integer, sa.ForeignKey("benchyard_users.id")),
    _kept("name", PlainText),
    _kept("token_hash", PlainText),
    _kept("created", sa.Float),
    sa.Column("expires", sa.Float),
    sa.Column("revoked", sa.Float),
    _kept("read_only", Flag),
    sa.Index("benchyard_tokens_hash", "token_hash", unique=True),
    sa.Index("benchyard_tokens_user", "user_id"),
)

hosts = sa.Table(
    "benchyard_hosts",
    metadata,
    sa.Column("name", PlainText, primary_key=True),
    _kept("enabled", Flag),
    _kept("reason", PlainText),
    _kept("created", sa.Float),
    _kept("changed", sa.Float),
    _kept("changed_by", PlainText),
    sa.Column("quarantined", sa.Float),
    sa.Column("band_since", sa.Float),
    sa.Column("seen", sa.Float),
    sa.Column("leased_until", sa.Float),
    sa.Column("leased_by", PlainText),
    sa.Column("lease_reason", PlainText),
    sa.Column("maintained", sa.Integer),
    sa.Column("broken_by", sa.Integer),
    sa.Column("fitness", Json(dict[str, Any])),
)

jobs = sa.Table(
    "benchyard_jobs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _kept("kind", PlainText),
    _kept("target", PlainText),
    sa.Column("host", PlainText),
    _kept("status", PlainText),
    _kept("enabled", Flag),
    _kept("spec", Json(dict[str, Any])),
    _kept("owner", PlainText),
    _kept("origin", PlainText),
    _kept("reason", PlainText),
    sa.Column("error", PlainText),
    sa.Column("request_id", sa.Integer),
    _kept("pushes", sa.Integer),
    sa.Column("progress", Json(dict[str, Any])),
    sa.Column("cancel_by", PlainText),
    _kept("created", sa.Float),
    _kept("changed", sa.Float),
    _kept("changed_by", PlainText),
    sa.Column("queued", sa.Float),
    sa.Column("started", sa.Float),
    sa.Column("finished", sa.Float),
    sa.Column("place", sa.BigInteger),
    sa.Column("removed", sa.Float),
    sa.Column("shape", PlainText),
    sa.Column("base_job", sa.Integer),
    sa.Column("identity", PlainText),
    sa.Column("prepared", Json(dict[str, Any])),
    sa.Index("benchyard_jobs_base", "base_job"),
    sa.Index("benchyard_jobs_kind", "kind", "status", "id"),
    sa.Index("benchyard_jobs_identity", "identity", "status", "id"),
    sa.Index("benchyard_jobs_shape", "shape", "status", "id"),
    sa.Index("benchyard_jobs_request", "request_id", unique=True),
    sa.Index("benchyard_jobs_place", "target", "place", "id"),
    sa.Index("benchyard_jobs_target", "target", "id"),
    sa.Index("benchyard_jobs_listed", "status", "id", sqlite_where=_LISTED, postgresql_where=_LISTED),
    sa.Index("benchyard_jobs_status", "status", "target", "id"),
    sa.Index("benchyard_jobs_owner", "owner", "id"),
    # A host remembers runs by JOB.ATTEMPT: an id is never given twice, even after the last row is deleted.
    sqlite_autoincrement=True,
)

attempts = sa.Table(
    "benchyard_attempts",
    metadata,
    sa.Column("job_id", sa.Integer, sa.ForeignKey("benchyard_jobs.id"), primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("host", PlainText),
    _kept("status", PlainText),
    sa.Column("cause", PlainText),
    sa.Column("report", Json(dict[str, Any])),
    sa.Column("started", sa.Float),
    sa.Column("finished", sa.Float),
    sa.Index("benchyard_attempts_status", "status"),
    sa.Index("benchyard_attempts_host", "host", "job_id"),
)

results = sa.Table(
    "benchyard_results",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("job_id", sa.Integer, sa.ForeignKey("benchyard_jobs.id")),
    sa.Column("attempt", sa.Integer),
    _kept("status", PlainText),
    _kept("enabled", Flag),
    _kept("host", PlainText),
    sa.Column("target", PlainText),
    sa.Column("interpreter", Json(dict[str, Any])),
    sa.Column("commit", PlainText),
    sa.Column("branch", PlainText),
    sa.Column("version", PlainText),
    _kept("flags", Json(tuple[str, ...])),
    sa.Column("suite", PlainText),
    sa.Column("suite_version", PlainText),
    sa.Column("mode", PlainText),
    sa.Column("path", PlainText),
    sa.Column("sha256", PlainText),
    sa.Column("size", sa.BigInteger),
    _kept("benchmarks", sa.Integer),
    _kept("failed", Json(tuple[dict[str, Any], ...])),
    _kept("created", sa.Float),
    _kept("changed", sa.Float),
    _kept("changed_by", PlainText),
    _kept("owner", PlainText),
    _kept("note", PlainText),
    sa.Column("trashed", sa.Float),
    _kept("kind", PlainText),
    sa.Column("grade", PlainText),
    _kept("grade_reasons", Json(tuple[str, ...])),
    sa.Column("fingerprint", Json(dict[str, Any])),
    sa.Column("fingerprint_id", PlainText),
    sa.Column("epoch", sa.Integer),
    sa.Column("missing", sa.Float),
    sa.Index("benchyard_results_run", "job_id", "attempt", unique=True),
    sa.Index("benchyard_results_host", "host", "id"),
    sa.Index("benchyard_results_target", "target", "id"),
    sa.Index("benchyard_results_owner", "owner", "id"),
    sa.Index("benchyard_results_branch", "branch", "id"),
    sa.Index("benchyard_results_commit", "commit"),
    sa.Index("benchyard_results_sha256", "sha256"),
)

measurements = sa.Table(
    "benchyard_measurements",
    metadata,
    sa.Column("result_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("benchmark", sa.Text, primary_key=True),
    _kept("unit", sa.Text),
    _kept("n", sa.Integer),
    _kept("mean", sa.Float),
    sa.Column("stdev", sa.Float),
    _kept("median", sa.Float),
    _kept("mad", sa.Float),
    _kept("minimum", sa.Float),
    _kept("maximum", sa.Float),
    sa.Column("memory", sa.Float),
    _kept("version", sa.Text),
    sa.Index("benchyard_measurements_benchmark", "benchmark", "result_id"),
    # Its rows are in the order of its key, without another index for that.
    sqlite_with_rowid=False,
)

samples = sa.Table(
    "benchyard_samples",
    metadata,
    sa.Column("result_id", sa.Integer, primary_key=True, autoincrement=False),
    _kept("packed", sa.LargeBinary),
)

epochs = sa.Table(
    "benchyard_epochs",
    metadata,
    sa.Column("host", PlainText, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    _kept("host_fingerprint", PlainText),
    _kept("fingerprint", Json(dict[str, Any])),
    _kept("since", sa.Float),
    _kept("result_id", sa.Integer),
)

calibrations = sa.Table(
    "benchyard_calibrations",
    metadata,
    sa.Column("result_id", sa.Integer, primary_key=True, autoincrement=False),
    _kept("host", PlainText),
    _kept("epoch", sa.Integer),
    _kept("series", PlainText),
    _kept("made", sa.Float),
    _kept("means", Json(dict[str, tuple[float, str]])),
    sa.Index("benchyard_calibrations_series", "host", "epoch", "series", "result_id"),
)

noise = sa.Table(
    "benchyard_noise",
    metadata,
    sa.Column("host", PlainText, primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("benchmark", PlainText, primary_key=True),
    _kept("floor", sa.Float),
    _kept("runs", sa.Integer),
    _kept("center", sa.Float),
    _kept("unit", PlainText),
    _kept("updated", sa.Float),
)

regressions = sa.Table(
    "benchyard_regressions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _kept("key", PlainText),
    _kept("host", PlainText),
    _kept("flags", Json(tuple[str, ...])),
    _kept("branch", PlainText),
    _kept("implementation", PlainText),
    _kept("suite", PlainText),
    _kept("suite_version", PlainText),
    _kept("mode", PlainText),
    sa.Column("epoch", sa.Integer),
    _kept("benchmark", PlainText),
    _kept("version", PlainText),
    _kept("unit", PlainText),
    _kept("commit", PlainText),
    _kept("commit_before", PlainText),
    _kept("result_id", sa.Integer),
    _kept("result_before", sa.Integer),
    _kept("found_by", sa.Integer),
    _kept("before", sa.Float),
    _kept("after", sa.Float),
    _kept("step", sa.Float),
    _kept("sure", sa.Float),
    _kept("worse", Flag),
    _kept("status", PlainText),
    sa.Column("confirmed_by", sa.Integer),
    sa.Column("fixed_by", PlainText),
    sa.Column("owner", PlainText),
    _kept("comment", PlainText),
    _kept("created", sa.Float),
    _kept("changed", sa.Float),
    _kept("changed_by", PlainText),
    sa.Index("benchyard_regressions_key", "key", unique=True),
    sa.Index("benchyard_regressions_benchmark", "benchmark", "host", "id"),
    sa.Index("benchyard_regressions_status", "status", "id"),
)

interpreters = sa.Table(
    "benchyard_interpreters",
    metadata,
    sa.Column("id", PlainText, primary_key=True),
    _kept("target", PlainText),
    _kept("recipe", PlainText),
    _kept("toolchain", PlainText),
    _kept("record", Json(dict[str, Any])),
    _kept("sha256", PlainText),
    _kept("size", sa.BigInteger),
    _kept("smoke", Json(dict[str, dict[str, Any]])),
    sa.Column("job_id", sa.Integer),
    _kept("made", sa.Float),
    _kept("used", sa.Float),
    sa.Index("benchyard_interpreters_target", "target", "made"),
    sa.Index("benchyard_interpreters_recipe", "recipe"),
)

patches = sa.Table(
    "benchyard_patches",
    metadata,
    sa.Column("id", PlainText, primary_key=True),
    _kept("text", PlainText),
)

queues = sa.Table(
    "benchyard_queues",
    metadata,
    sa.Column("target", PlainText, primary_key=True),
    _kept("paused", Flag),
    sa.Column("paused_by", PlainText),
    sa.Column("paused_at", sa.Float),
    _kept("reason", PlainText),
    _kept("version", sa.Integer),
)

answers = sa.Table(
    "benchyard_answers",
    metadata,
    sa.Column("user", PlainText, primary_key=True),
    sa.Column("key", PlainText, primary_key=True),
    _kept("fingerprint", PlainText),
    _kept("status", sa.Integer),
    _kept("body", PlainText),
    _kept("created", sa.Float),
    sa.Index("benchyard_answers_created", "created"),
)

notices = sa.Table(
    "benchyard_notices",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _kept("key", PlainText),
    _kept("kind", PlainText),
    _kept("time", sa.Float),
    sa.Column("target", PlainText),
    _kept("subject", PlainText),
    _kept("body", PlainText),
    _kept("users", Json(tuple[str, ...])),
    _kept("data", Json(dict[str, Any])),
    sa.Index("benchyard_notices_key", "key", unique=True),
    sa.Index("benchyard_notices_time", "time"),
    # Who tells them goes on from the last id: it is never given twice, even after the old ones were deleted.
    sqlite_autoincrement=True,
)

tellings = sa.Table(
    "benchyard_tellings",
    metadata,
    sa.Column("notice_id", sa.Integer, sa.ForeignKey("benchyard_notices.id"), primary_key=True, autoincrement=False),
    sa.Column("notifier", PlainText, primary_key=True),
    _kept("time", sa.Float),
    _kept("outcome", PlainText),
    _kept("words", PlainText),
)

notifiers = sa.Table(
    "benchyard_notifiers",
    metadata,
    sa.Column("name", PlainText, primary_key=True),
    _kept("since", sa.Float),
    _kept("holder", PlainText),
    _kept("until", sa.Float),
)

watches = sa.Table(
    "benchyard_watches",
    metadata,
    sa.Column("name", PlainText, primary_key=True),
    _kept("since", sa.Float),
    _kept("position", sa.Integer),
)

uploads = sa.Table(
    "benchyard_uploads",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _kept("result_id", sa.Integer, sa.ForeignKey("benchyard_results.id")),
    _kept("destination", PlainText),
    _kept("action", PlainText),
    _kept("state", PlainText),
    _kept("words", PlainText),
    sa.Column("link", PlainText),
    _kept("slot", PlainText),
    _kept("asks", sa.Integer),
    _kept("attempts", sa.Integer),
    _kept("asked", sa.Float),
    _kept("asked_by", PlainText),
    _kept("next_try", sa.Float),
    _kept("deadline", sa.Float),
    sa.Column("begun", sa.Float),
    sa.Column("sent", sa.Float),
    _kept("changed", sa.Float),
    sa.Index("benchyard_uploads_result", "result_id", "destination", unique=True),
    sa.Index(
        "benchyard_uploads_due",
        "destination",
        "next_try",
        "asked",
        "id",
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    ),
    sa.Index(
        "benchyard_uploads_slot",
        "destination",
        "slot",
        "asked",
        "id",
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    ),
    sa.Index("benchyard_uploads_state", "state", "id"),
    sa.Index("benchyard_uploads_destination", "destination", "id"),
    sa.Index("benchyard_uploads_outstanding", "id", sqlite_where=_OUTSTANDING, postgresql_where=_OUTSTANDING),
)

senders = sa.Table(
    "benchyard_senders",
    metadata,
    sa.Column("destination", PlainText, primary_key=True),
    _kept("holder", PlainText),
    _kept("until", sa.Float),
    _kept("words", PlainText),
    sa.Column("answered", sa.Float),
)

history = sa.Table(
    "benchyard_history",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _kept("entity", PlainText),
    _kept("entity_id", PlainText),
    _kept("time", sa.Float),
    _kept("who", PlainText),
    _kept("change", Json(dict[str, Any])),
    sa.Index("benchyard_history_entity", "entity", "entity_id", "id"),
)
