"""Every table of the control database: migrations and stores share these objects.

Ids are text and made by us, amounts are whole numbers (nano-USD, tokens, bytes), times are UTC. A
table with a ``tenant_id`` is read and written with it: tests/db/test_tenant_scope.py watches.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator


class Instant(TypeDecorator[datetime]):
    """A moment with its time zone; comes back in UTC from both databases (SQLite keeps no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a moment without a zone: it would mean another time on another machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs its time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the moment in UTC."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


#: Constraints get names, so that a later migration can change them on both databases.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# revision: one row; every write that gateways must see bumps it in the same transaction

revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="single"),
)

# tenants

tenants = Table(
    "tenants",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
)

virtual_keys = Table(
    "virtual_keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(128), ForeignKey("tenants.id"), nullable=False, index=True),
    Column("name", String(128), nullable=False),
    Column("prefix", String(32), nullable=False),  # enough to recognise it, too little to use it
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256, hexadecimal
    Column("routes", JSON(none_as_null=True)),  # list of route names; null: every route
    Column("is_admin", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
)

# quota

limits = Table(
    "limits",
    metadata,
    Column("tenant_id", String(128), ForeignKey("tenants.id"), primary_key=True),
    Column("scope_kind", String(16), primary_key=True),
    Column("scope_id", String(128), primary_key=True),
    Column("requests_per_second", Float),
    Column("burst", Integer),
    Column("tokens_per_day", BigInteger),
    Column("updated_at", Instant, nullable=False),
    CheckConstraint("scope_kind IN ('tenant', 'key')", name="scope_kind"),
)

# No foreign keys and no lengths: what was spent outlives the tenant, the key and the deployment, and
# one odd name must not keep a whole batch out.
ledger = Table(
    "ledger",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("day", Date, nullable=False),  # UTC day on which the request began
    Column("occurred_at", Instant, nullable=False),
    Column("input_uncached", BigInteger, nullable=False),
    Column("cache_read", BigInteger, nullable=False),
    Column("cache_write", BigInteger, nullable=False),
    Column("output_text", BigInteger, nullable=False),
    Column("reasoning", BigInteger, nullable=False),
    *(
        Column(name, BigInteger, nullable=False, server_default="0")
        for name in (
            "cache_write_1h",
            "input_audio",
            "input_image",
            "output_audio",
            "output_image",
        )
    ),
    Column("is_estimated", Boolean, nullable=False),
    Column("cost_nanousd", BigInteger),  # null: the price is unknown, which is not zero
    Column("price_version", Text, nullable=False),
    Index("ix_ledger_day_tenant_id", "day", "tenant_id"),
    Index("ix_ledger_tenant_id_day", "tenant_id", "day"),
)

# retrieval

collections = Table(
    "collections",
    metadata,
    Column("tenant_id", String(128), ForeignKey("tenants.id"), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("revision", BigInteger, nullable=False),  # grows with every change of its documents
    Column("generation", BigInteger, nullable=False),  # revision of the published index; 0: none
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("id", String(64), primary_key=True),  # made from tenant, collection and location
    Column("tenant_id", String(128), nullable=False),
    Column("collection", String(128), nullable=False),
    Column("location", Text, nullable=False),  # where it was read from: an absolute path
    Column("root", Text, nullable=False),  # the folder that was ingested, or the file itself
    Column("source", Text, nullable=False),  # the name that people see
    Column("title", Text, nullable=False),
    Column("kind", String(16), nullable=False),  # markdown, text, html, pdf
    Column("language", String(8), nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("recipe", String(64), nullable=False),  # how it was split; another one splits anew
    Column("size_bytes", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False),  # why it is quarantined
    Column("created_at", Instant, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "collection"], ["collections.tenant_id", "collections.name"]
    ),
    CheckConstraint("status IN ('indexed', 'quarantined')", name="status"),
    Index("ix_documents_tenant_id_collection", "tenant_id", "collection"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("tenant_id", String(128), nullable=False),
    Column("collection", String(128), nullable=False),
    Column(
        "document_id", String(64), ForeignKey("documents.id", ondelete="CASCADE"), nullable=False
    ),
    Column("parent_id", String(80), nullable=False),  # chunks of one longer passage share it
    Column("position", Integer, nullable=False),
    Column("section", Text, nullable=False),
    Column("page", Integer),
    Column("separator", String(4), nullable=False),  # between it and the chunk before
    Column("text", Text, nullable=False),
    Column("tokens", Integer, nullable=False),
    Index("ix_chunks_collection", "tenant_id", "collection", "document_id", "position"),
)
