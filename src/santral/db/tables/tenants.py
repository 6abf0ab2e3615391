"""Who is calling and who administers."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from santral.db.tables.shape import Instant, metadata

tenants = Table(
    "tenants",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("parent_id", String(128), index=True),  # whose part it is
    Column("payloads", String(16)),  # full, redacted, hashes, none; null: as the parent
    Column("retention_days", Integer),  # of traces and payloads; null: as the parent
    Column("caches_forgotten_at", Instant),  # answers that were cached before are not served
    Column("deleted_at", Instant),  # its rows of the ledger and the audit log stay
)

# Who administers: people who sign in, and service accounts that hold keys.
users = Table(
    "users",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(128), nullable=False),
    Column("email", String(320), unique=True),  # lower case
    Column("issuer", Text),  # of the OpenID provider that vouches for the person
    Column("subject", Text),  # the person's id there
    Column("is_active", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_login_at", Instant),
    Column("groups", JSON(none_as_null=True)),  # whose documents the person may be answered from
    CheckConstraint("kind IN ('person', 'service')", name="kind"),
    UniqueConstraint("issuer", "subject"),
)

# ``tenant_id`` is ``*`` for a role over the whole installation; a role holds for what is beneath, too.
memberships = Table(
    "memberships",
    metadata,
    Column("tenant_id", String(128), primary_key=True),
    Column("user_id", String(64), ForeignKey("users.id"), primary_key=True, index=True),
    Column("role", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
)

# Of the console: who signed in with an OpenID provider or an administrator's key.
sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the cookie, hexadecimal
    Column("user_id", String(64), ForeignKey("users.id"), index=True),
    Column("key_id", String(64), ForeignKey("virtual_keys.id"), index=True),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    CheckConstraint("user_id IS NOT NULL OR key_id IS NOT NULL", name="holder"),
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
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("user_id", String(64), index=True),  # whose key it is
    Column("role", String(16)),  # what it may administer; null: nothing
    Column("role_over", String(128)),  # the tenant under which its role holds; ``*``: everything
    Column("models", JSON(none_as_null=True)),  # list of deployment names; null: every one
    Column("networks", JSON(none_as_null=True)),  # list of CIDR blocks; null: from anywhere
    Column("scopes", JSON(none_as_null=True)),  # list of what it may ask for; null: everything
    Column("groups", JSON(none_as_null=True)),  # whose documents it may be answered from
    Column(
        "names_groups", Boolean, nullable=False, server_default="0"
    ),  # it says whose, per request
    Column("previous_prefix", String(32)),  # of the text before the last rotation
    Column("previous_digest", String(64)),
    Column("previous_expires_at", Instant),
    Index("uq_virtual_keys_previous_digest", "previous_digest", unique=True),
)
