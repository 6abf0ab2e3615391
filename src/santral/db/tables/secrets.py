"""Secrets and the keys that seal them: everything here is ciphertext."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, LargeBinary, String, Table

from santral.db.tables.shape import Instant, metadata

data_keys = Table(
    "data_keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(128), nullable=False, index=True),  # whose payloads; ``*``: secrets
    Column("wrapped", LargeBinary, nullable=False),  # under the key that wraps
    Column("wrapped_by", String(64), nullable=False),  # which one
    Column("created_at", Instant, nullable=False),
    Column("retired_at", Instant),  # it opens what it sealed, and seals nothing more
)

provider_secrets = Table(
    "provider_secrets",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("data_key_id", String(64), ForeignKey("data_keys.id"), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("updated_at", Instant, nullable=False),
)
