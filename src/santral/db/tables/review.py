"""What people are asked to judge, and what they said."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from santral.db.tables.shape import Instant, metadata

review_queues = Table(
    "review_queues",
    metadata,
    Column("tenant_id", String(128), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("settings", JSON(none_as_null=True), nullable=False),  # rules, labels, raters, gold
    Column("cursor", JSON(none_as_null=True)),  # how far traces were looked through
    Column("is_paused", Boolean, nullable=False),
    Column("created_by", String(160), nullable=False),
    Column("created_at", Instant, nullable=False),
)

review_items = Table(
    "review_items",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(128), nullable=False),
    Column("queue", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("key", String(160), nullable=False),  # of what is judged: never twice in one queue
    Column("trace_id", String(64), nullable=False),
    Column("content", JSON(none_as_null=True), nullable=False),  # what raters see, or where it is
    Column("subject", String(256), nullable=False),  # the end user whose words it holds, or empty
    Column("rule", String(64), nullable=False),
    Column("probability", Float, nullable=False),  # with which it came in, for rates of all traffic
    Column("gold", JSON(none_as_null=True)),  # the known answer of a hidden test item
    Column("held_id", String(64), nullable=False),  # of the answer that waits for it, or empty
    Column("state", String(16), nullable=False),
    Column("outcome", JSON(none_as_null=True)),  # labels agreed on or adjudicated
    Column("priority", Integer, nullable=False),
    Column("created_by", String(160), nullable=False),  # never asked to judge it
    Column("created_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("scored_at", Instant),  # when its outcome went to the traces as scores
    CheckConstraint("state IN ('open', 'disputed', 'done', 'skipped')", name="state"),
    Index("uq_review_items_key", "tenant_id", "queue", "key", unique=True),
    Index("ix_review_items_state", "tenant_id", "queue", "state", "priority", "created_at"),
    Index("ix_review_items_subject", "tenant_id", "subject"),
)

# One of an item's n places for raters: leased, then filled; a rater has one place of an item.
review_tasks = Table(
    "review_tasks",
    metadata,
    Column("item_id", String(64), ForeignKey("review_items.id"), primary_key=True),
    # from 1; 0: the adjudicator; below 0: given back, and free for others
    Column("slot", Integer, primary_key=True),
    Column("tenant_id", String(128), nullable=False),
    Column("rater", String(160), nullable=False),
    Column("state", String(16), nullable=False),
    Column("leased_until", Instant),
    Column("labels", JSON(none_as_null=True)),
    Column("comment", Text, nullable=False),
    Column("shown", JSON(none_as_null=True)),  # the order in which two answers were shown
    Column("seconds", Float, nullable=False),
    Column("submitted_at", Instant),
    CheckConstraint("state IN ('leased', 'done', 'skipped')", name="state"),
    Index("uq_review_tasks_rater", "item_id", "rater", unique=True),
    Index("ix_review_tasks_rater", "tenant_id", "rater", "submitted_at"),
)
