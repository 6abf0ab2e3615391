"""Data sets and their versions, runs over them, and what judges are worth."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from santral.db.tables.shape import Instant, metadata

datasets = Table(
    "datasets",
    metadata,
    Column("tenant_id", String(128), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("description", Text, nullable=False),
    Column("settings", JSON(none_as_null=True), nullable=False),  # shares of splits, labels
    Column("created_by", String(160), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

# Every state an example was ever in; the newest revision of an id is the one in force.
dataset_revisions = Table(
    "dataset_revisions",
    metadata,
    Column("tenant_id", String(128), primary_key=True),
    Column("dataset", String(128), primary_key=True),
    Column("example_id", String(128), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("content", JSON(none_as_null=True)),  # the example; null where it was taken out
    Column("content_hash", String(64), nullable=False),
    Column("split", String(32), nullable=False),
    Column("provenance", JSON(none_as_null=True)),  # trace, document, review, augmentation
    Column("subject", String(256), nullable=False),  # the end user whose words it holds, or empty
    Column("created_by", String(160), nullable=False),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("kind IN ('create', 'patch', 'delete', 'erase')", name="kind"),
    Index("ix_dataset_revisions_subject", "tenant_id", "subject"),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("tenant_id", String(128), primary_key=True),
    Column("dataset", String(128), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("manifest_hash", String(64), nullable=False),
    Column("examples", Integer, nullable=False),
    Column("card", JSON(none_as_null=True), nullable=False),  # statistics of it
    Column("note", Text, nullable=False),
    Column("created_by", String(160), nullable=False),
    Column("created_at", Instant, nullable=False),
)

dataset_version_examples = Table(
    "dataset_version_examples",
    metadata,
    Column("tenant_id", String(128), primary_key=True),
    Column("dataset", String(128), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("example_id", String(128), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("split", String(32), nullable=False),
)

eval_runs = Table(
    "eval_runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(128), nullable=False),
    Column("suite", String(128), nullable=False),
    Column("target", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("head", JSON(none_as_null=True), nullable=False),  # santral.evals.run.RunHead
    Column("git_sha", String(64), nullable=False),
    Column("config_hash", String(64), nullable=False),
    Column("dataset", String(256), nullable=False),
    Column("dataset_digest", String(64), nullable=False),
    Column("summary", JSON(none_as_null=True)),
    Column("cost_nanousd", BigInteger, nullable=False),
    Column("created_by", String(160), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    CheckConstraint("state IN ('running', 'done', 'stopped', 'failed')", name="state"),
    Index("ix_eval_runs_suite", "tenant_id", "suite", "created_at"),
)

eval_samples = Table(
    "eval_samples",
    metadata,
    Column("tenant_id", String(128), primary_key=True),
    Column("run_id", String(64), primary_key=True),
    Column("example_id", String(128), primary_key=True),
    Column("repeat", Integer, primary_key=True),
    Column("example_hash", String(64), nullable=False),
    Column("example", JSON(none_as_null=True)),  # what was asked about; with its first repeat
    Column("sample", JSON(none_as_null=True), nullable=False),  # santral.evals.run.Sample
    Column("is_error", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
)

# Answers that were paid for once; the key holds everything they depend on, the repeat too.
eval_answers = Table(
    "eval_answers",
    metadata,
    Column("tenant_id", String(128), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("example_hash", String(64), nullable=False),  # what was asked: erasing looks for it
    Column("answer", JSON(none_as_null=True), nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_eval_answers_example_hash", "tenant_id", "example_hash"),
    Index("ix_eval_answers_created_at", "created_at"),
)

judge_calibrations = Table(
    "judge_calibrations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(128), nullable=False),
    Column("judge", String(128), nullable=False),
    Column("digest", String(64), nullable=False),  # of prompt, model and settings: a series
    Column("measured", JSON(none_as_null=True), nullable=False),
    Column("humans", Integer, nullable=False),  # examples that people labelled, too
    Column("floor", Float, nullable=False),
    Column("may_gate", Boolean, nullable=False),
    Column("created_by", String(160), nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_judge_calibrations_judge", "tenant_id", "judge", "created_at"),
)

monitors = Table(
    "monitors",
    metadata,
    Column("tenant_id", String(128), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("settings", JSON(none_as_null=True), nullable=False),
    Column("state", JSON(none_as_null=True)),  # of sums that go on from look to look
    Column("is_paused", Boolean, nullable=False),
    Column("next_at", Instant),
    Column("created_by", String(160), nullable=False),
    Column("created_at", Instant, nullable=False),
)

monitor_findings = Table(
    "monitor_findings",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(128), nullable=False),
    Column("monitor", String(128), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("found", JSON(none_as_null=True), nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_monitor_findings_monitor", "tenant_id", "monitor", "created_at"),
)
