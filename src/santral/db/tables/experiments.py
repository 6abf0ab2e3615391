"""Live experiments that people make while Santral runs, and every decision about them."""

from __future__ import annotations

from sqlalchemy import JSON, CheckConstraint, Column, Index, Integer, String, Table, Text

from santral.db.tables.shape import Instant, metadata

experiments = Table(
    "experiments",
    metadata,
    Column("tenant_id", String(128), primary_key=True),  # ``*``: of every tenant
    Column("name", String(128), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("settings", JSON(none_as_null=True), nullable=False),  # arms, weights, unit, metrics
    Column("description", Text, nullable=False),
    Column("created_by", String(160), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    CheckConstraint("state IN ('draft', 'running', 'paused', 'stopped')", name="state"),
)

# Append-only: started, ramped, stopped by a guardrail, weights moved by the bandit, decided.
experiment_events = Table(
    "experiment_events",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(128), nullable=False),
    Column("experiment", String(128), nullable=False),
    Column("number", Integer, nullable=False),  # of this experiment's events, from 1
    Column("kind", String(32), nullable=False),
    Column("evidence", JSON(none_as_null=True), nullable=False),
    Column("actor", String(160), nullable=False),
    Column("at", Instant, nullable=False),
    Index("uq_experiment_events_number", "tenant_id", "experiment", "number", unique=True),
)
