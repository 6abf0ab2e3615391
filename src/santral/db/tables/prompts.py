"""The registry of prompts: versions that never change, and labels that move."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text

from santral.db.tables.shape import Instant, metadata

# ``*`` as tenant: of the whole installation, for every tenant that has none of the name.
prompt_versions = Table(
    "prompt_versions",
    metadata,
    Column("tenant_id", String(128), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("content_hash", String(64), nullable=False),
    Column("body", Text, nullable=False),  # the whole file, front matter too
    Column("changelog", Text, nullable=False),
    Column("owner", String(160), nullable=False),
    Column("created_by", String(160), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("deleted_at", Instant),  # a tombstone: the version's number is never used again
)

# Append-only; a label points to where its newest row says.
prompt_label_events = Table(
    "prompt_label_events",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(128), nullable=False),
    Column("name", String(64), nullable=False),
    Column("label", String(64), nullable=False),
    Column("number", Integer, nullable=False),  # of this label's events, from 1
    Column("version", String(64)),  # null: the label was taken away
    Column("before", String(64)),
    Column("reason", Text, nullable=False),
    Column("moved_by", String(160), nullable=False),
    Column("moved_at", Instant, nullable=False),
    Column("is_rollback", Boolean, nullable=False),
    Index("uq_prompt_label_events_number", "tenant_id", "name", "label", "number", unique=True),
)

prompt_protections = Table(
    "prompt_protections",
    metadata,
    Column("tenant_id", String(128), primary_key=True),
    Column("name", String(64), primary_key=True),  # ``*``: of every prompt
    Column("label", String(64), primary_key=True),
    Column("created_by", String(160), nullable=False),
    Column("created_at", Instant, nullable=False),
)
