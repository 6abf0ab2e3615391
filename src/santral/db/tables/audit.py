"""Who did what to what."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from santral.db.tables.shape import Instant, metadata

audit_log = Table(
    "audit_log",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3: no gaps
    Column("occurred_at", Instant, nullable=False),
    Column("tenant_id", String(128), nullable=False, index=True),  # whom it is about; ``*``: all
    Column("actor", Text, nullable=False),  # user:…, key:…, cli:…, system
    Column("action", String(64), nullable=False),  # keys.revoke, guardrails.refused
    Column("object", Text, nullable=False),  # what was acted on, by kind and id
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
    Column("origin", Text, nullable=False),  # from where: an address, a terminal
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_log_occurred_at", "occurred_at"),
    Index("ix_audit_log_object", "object"),
)

# One row: the last entry that retention removed, on which the chain goes on.
audit_anchor = Table(
    "audit_anchor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("cut_at", Instant),
    CheckConstraint("id = 1", name="single"),
)
