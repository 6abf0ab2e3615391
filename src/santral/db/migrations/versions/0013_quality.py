"""Prompts in a registry, data sets, evaluations, experiments, reviews and monitors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_JSON = sa.JSON(none_as_null=True)
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables; nothing was kept of these before."""
    _prompts()
    _datasets()
    _evals()
    _experiments()
    _review()


def _prompts() -> None:
    op.create_table(
        "prompt_versions",
        sa.Column("tenant_id", sa.String(128), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("version", sa.String(64), primary_key=True),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("changelog", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(160), nullable=False),
        sa.Column("created_by", sa.String(160), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("deleted_at", _INSTANT),
    )
    op.create_table(
        "prompt_label_events",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant_id", sa.String(128), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(64)),
        sa.Column("before", sa.String(64)),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("moved_by", sa.String(160), nullable=False),
        sa.Column("moved_at", _INSTANT, nullable=False),
        sa.Column("is_rollback", sa.Boolean(), nullable=False),
    )
    op.create_index(
        "uq_prompt_label_events_number",
        "prompt_label_events",
        ["tenant_id", "name", "label", "number"],
        unique=True,
    )
    op.create_table(
        "prompt_protections",
        sa.Column("tenant_id", sa.String(128), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("label", sa.String(64), primary_key=True),
        sa.Column("created_by", sa.String(160), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
    )


def _datasets() -> None:
    op.create_table(
        "datasets",
        sa.Column("tenant_id", sa.String(128), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("settings", _JSON, nullable=False),
        sa.Column("created_by", sa.String(160), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "dataset_revisions",
        sa.Column("tenant_id", sa.String(128), primary_key=True),
        sa.Column("dataset", sa.String(128), primary_key=True),
        sa.Column("example_id", sa.String(128), primary_key=True),
        sa.Column("revision", sa.Integer(), primary_key=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("content", _JSON),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("split", sa.String(32), nullable=False),
        sa.Column("provenance", _JSON),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("created_by", sa.String(160), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.CheckConstraint("kind IN ('create', 'patch', 'delete', 'erase')", name="kind"),
    )
    op.create_index("ix_dataset_revisions_subject", "dataset_revisions", ["tenant_id", "subject"])
    op.create_table(
        "dataset_versions",
        sa.Column("tenant_id", sa.String(128), primary_key=True),
        sa.Column("dataset", sa.String(128), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True),
        sa.Column("manifest_hash", sa.String(64), nullable=False),
        sa.Column("examples", sa.Integer(), nullable=False),
        sa.Column("card", _JSON, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(160), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "dataset_version_examples",
        sa.Column("tenant_id", sa.String(128), primary_key=True),
        sa.Column("dataset", sa.String(128), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True),
        sa.Column("example_id", sa.String(128), primary_key=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("split", sa.String(32), nullable=False),
    )


def _evals() -> None:
    op.create_table(
        "eval_runs",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant_id", sa.String(128), nullable=False),
        sa.Column("suite", sa.String(128), nullable=False),
        sa.Column("target", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("head", _JSON, nullable=False),
        sa.Column("git_sha", sa.String(64), nullable=False),
        sa.Column("config_hash", sa.String(64), nullable=False),
        sa.Column("dataset", sa.String(256), nullable=False),
        sa.Column("dataset_digest", sa.String(64), nullable=False),
        sa.Column("summary", _JSON),
        sa.Column("cost_nanousd", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(160), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("finished_at", _INSTANT),
        sa.CheckConstraint("state IN ('running', 'done', 'stopped', 'failed')", name="state"),
    )
    op.create_index("ix_eval_runs_suite", "eval_runs", ["tenant_id", "suite", "created_at"])
    op.create_table(
        "eval_samples",
        sa.Column("tenant_id", sa.String(128), primary_key=True),
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("example_id", sa.String(128), primary_key=True),
        sa.Column("repeat", sa.Integer(), primary_key=True),
        sa.Column("example_hash", sa.String(64), nullable=False),
        sa.Column("example", _JSON),
        sa.Column("sample", _JSON, nullable=False),
        sa.Column("is_error", sa.Boolean(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "eval_answers",
        sa.Column("tenant_id", sa.String(128), primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("example_hash", sa.String(64), nullable=False),
        sa.Column("answer", _JSON, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    op.create_index("ix_eval_answers_example_hash", "eval_answers", ["tenant_id", "example_hash"])
    op.create_index("ix_eval_answers_created_at", "eval_answers", ["created_at"])
    op.create_table(
        "judge_calibrations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant_id", sa.String(128), nullable=False),
        sa.Column("judge", sa.String(128), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("measured", _JSON, nullable=False),
        sa.Column("humans", sa.Integer(), nullable=False),
        sa.Column("floor", sa.Float(), nullable=False),
        sa.Column("may_gate", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(160), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    op.create_index(
        "ix_judge_calibrations_judge", "judge_calibrations", ["tenant_id", "judge", "created_at"]
    )
    op.create_table(
        "monitors",
        sa.Column("tenant_id", sa.String(128), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("settings", _JSON, nullable=False),
        sa.Column("state", _JSON),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("next_at", _INSTANT),
        sa.Column("created_by", sa.String(160), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "monitor_findings",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant_id", sa.String(128), nullable=False),
        sa.Column("monitor", sa.String(128), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("found", _JSON, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    op.create_index(
        "ix_monitor_findings_monitor", "monitor_findings", ["tenant_id", "monitor", "created_at"]
    )


def _experiments() -> None:
    op.create_table(
        "experiments",
        sa.Column("tenant_id", sa.String(128), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("settings", _JSON, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(160), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("started_at", _INSTANT),
        sa.Column("ended_at", _INSTANT),
        sa.CheckConstraint("state IN ('draft', 'running', 'paused', 'stopped')", name="state"),
    )
    op.create_table(
        "experiment_events",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant_id", sa.String(128), nullable=False),
        sa.Column("experiment", sa.String(128), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("evidence", _JSON, nullable=False),
        sa.Column("actor", sa.String(160), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
    )
    op.create_index(
        "uq_experiment_events_number",
        "experiment_events",
        ["tenant_id", "experiment", "number"],
        unique=True,
    )


def _review() -> None:
    op.create_table(
        "review_queues",
        sa.Column("tenant_id", sa.String(128), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("settings", _JSON, nullable=False),
        sa.Column("cursor", _JSON),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(160), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "review_items",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant_id", sa.String(128), nullable=False),
        sa.Column("queue", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("key", sa.String(160), nullable=False),
        sa.Column("trace_id", sa.String(64), nullable=False),
        sa.Column("content", _JSON, nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("gold", _JSON),
        sa.Column("held_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("outcome", _JSON),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(160), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("closed_at", _INSTANT),
        sa.Column("scored_at", _INSTANT),
        sa.CheckConstraint("state IN ('open', 'disputed', 'done', 'skipped')", name="state"),
    )
    op.create_index(
        "ix_review_items_state",
        "review_items",
        ["tenant_id", "queue", "state", "priority", "created_at"],
    )
    op.create_index("ix_review_items_subject", "review_items", ["tenant_id", "subject"])
    op.create_index(
        "uq_review_items_key", "review_items", ["tenant_id", "queue", "key"], unique=True
    )
    op.create_table(
        "review_tasks",
        sa.Column("item_id", sa.String(64), sa.ForeignKey("review_items.id"), primary_key=True),
        sa.Column("slot", sa.Integer(), primary_key=True),
        sa.Column("tenant_id", sa.String(128), nullable=False),
        sa.Column("rater", sa.String(160), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("leased_until", _INSTANT),
        sa.Column("labels", _JSON),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("shown", _JSON),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("submitted_at", _INSTANT),
        sa.CheckConstraint("state IN ('leased', 'done', 'skipped')", name="state"),
    )
    op.create_index("ix_review_tasks_rater", "review_tasks", ["tenant_id", "rater", "submitted_at"])
    op.create_index("uq_review_tasks_rater", "review_tasks", ["item_id", "rater"], unique=True)
