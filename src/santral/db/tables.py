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
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
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

# quota

limit_rules = Table(
    "limit_rules",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(128), nullable=False),  # whose rule; ``*``: the installation's
    Column("scope_kind", String(16), nullable=False),
    Column("scope_id", String(256), nullable=False),  # ``*``: each one for itself
    Column("measure", String(16), nullable=False),
    Column("window", String(16), nullable=False),  # empty for what is held at once
    Column("is_rolling", Boolean, nullable=False),
    Column("amount", BigInteger),  # requests, tokens, nano-USD
    Column("rate", Float),  # requests in a second, which may be less than one
    Column("burst", Integer),
    Column("time_zone", String(64), nullable=False),  # where a calendar window begins
    Column("wait_s", Float, nullable=False),
    Column("fall_to", String(128)),  # the deployment that answers when it is used up
    Column("warn_at", JSON, nullable=False),  # list of fractions
    Column("webhook", Text),
    Column("uncoordinated", String(16), nullable=False),  # share, refuse, allow
    Column("is_dry_run", Boolean, nullable=False),
    Column("updated_at", Instant, nullable=False),
    CheckConstraint(
        "scope_kind IN ('tenant', 'key', 'user', 'route', 'model', 'tag')", name="scope_kind"
    ),
    CheckConstraint("measure IN ('requests', 'tokens', 'concurrent', 'usd')", name="measure"),
    CheckConstraint("(amount IS NULL) <> (rate IS NULL)", name="amount_or_rate"),
    UniqueConstraint(
        "tenant_id",
        "scope_kind",
        "scope_id",
        "measure",
        "window",
        "is_rolling",
        name="uq_limit_rules_rule",
    ),
)

# What was said about a limit, once for each of its windows.
alerts = Table(
    "alerts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(128), nullable=False, index=True),
    Column("limit_id", String(64), nullable=False),
    Column("scope_id", String(256), nullable=False),
    Column("window_start", Instant, nullable=False),
    Column("kind", String(32), nullable=False),  # warned at 0.8, forecast, spent
    Column("body", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("delivered_at", Instant),
    Column("next_try_at", Instant),
    Column("tries", Integer, nullable=False),
    Column("error", Text, nullable=False),
    UniqueConstraint("limit_id", "scope_id", "window_start", "kind", name="uq_alerts_once"),
)

# No foreign keys and no lengths: what was spent outlives the tenant, the key and the deployment, and
# one odd name must not keep a whole batch out. Triggers refuse every change of a row but that of its
# user_id (migration 0004): what was spent is corrected by further rows.
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
    Column("user_id", Text, nullable=False, server_default=""),
    Column("prompt", Text, nullable=False, server_default=""),  # name@version
    Column("tags", JSON, nullable=False, server_default="{}"),
    Column("occurred_s", BigInteger, nullable=False, server_default="0"),  # seconds since 1970
    Column("price_row", Text, nullable=False, server_default=""),  # empty: the model's own
    Column("price_variant", Text, nullable=False, server_default=""),  # batch, flex, priority, fast
    # 1: the price is unknown; -1: a correction that gives it. The sum tells how many have none.
    Column("unpriced", Integer, nullable=False, server_default="0"),
    Index("ix_ledger_tenant_id_occurred_s", "tenant_id", "occurred_s"),
    Index("ix_ledger_occurred_s", "occurred_s"),
    Index("ix_ledger_day_tenant_id", "day", "tenant_id"),
    Index("ix_ledger_tenant_id_day", "tenant_id", "day"),
)

# audit

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

# secrets: everything here is ciphertext

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

# jobs

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(128), nullable=False, index=True),
    Column("kind", String(64), nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("progress", JSON, nullable=False),
    Column("result", JSON(none_as_null=True)),
    Column("error", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("leased_by", Text),
    Column("leased_until", Instant),
    Column("tries", Integer, nullable=False),
    CheckConstraint("state IN ('waiting', 'running', 'done', 'failed', 'cancelled')", name="state"),
    Index("ix_jobs_state_created_at", "state", "created_at"),
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
    Column("settings", JSON(none_as_null=True)),  # of one made by API; null: declared, or defaults
    Column("active_version", Integer, nullable=False, server_default="0"),  # 0: none was published
    Column("description", Text, nullable=False, server_default=""),
    Column("writer", String(64), nullable=False, server_default=""),  # the job that changes it
)

# A way of splitting and embedding a collection; the active one is searched, the others wait beside it.
collection_versions = Table(
    "collection_versions",
    metadata,
    Column("tenant_id", String(128), primary_key=True),
    Column("collection", String(128), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("recipe", JSON(none_as_null=True), nullable=False),  # how it is split, embedded, where
    Column("recipe_digest", String(64), nullable=False),
    Column("model", JSON(none_as_null=True)),  # card of the model that made its vectors
    Column("revision", BigInteger, nullable=False),  # of the documents its index holds
    Column("generation", String(64), nullable=False),  # of its index, empty: none was published
    Column("documents", BigInteger, nullable=False),
    Column("chunks", BigInteger, nullable=False),
    Column("created_by", String(160), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("published_at", Instant),
    ForeignKeyConstraint(
        ["tenant_id", "collection"], ["collections.tenant_id", "collections.name"]
    ),
    CheckConstraint("state IN ('building', 'ready', 'active', 'retired')", name="state"),
)

documents = Table(
    "documents",
    metadata,
    Column(
        "id", String(64), primary_key=True
    ),  # made from tenant, collection and location at first
    Column("tenant_id", String(128), nullable=False),
    Column("collection", String(128), nullable=False),
    Column("location", Text, nullable=False),  # its key at its source: a path, a URL, an id
    Column("root", Text, nullable=False),  # the folder, site or bucket that was taken in
    Column("source", Text, nullable=False),  # the name that people see
    Column("title", Text, nullable=False),
    Column("kind", String(16), nullable=False),  # markdown, text, html, pdf, ...
    Column("language", String(8), nullable=False),
    Column("content_hash", String(64), nullable=False),  # of its bytes
    Column("size_bytes", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False),  # why it is quarantined
    Column("created_at", Instant, nullable=False),
    Column("fingerprint", String(64), nullable=False, server_default=""),  # of all an index holds
    Column("source_id", String(64), nullable=False, server_default=""),  # what brought it
    Column("duplicate_of", String(64), nullable=False, server_default=""),
    Column("metadata", JSON(none_as_null=True)),  # url, owner, lifecycle, dates, groups, attributes
    Column("text_hash", String(64), nullable=False, server_default=""),  # of its text, for moves
    Column("sketch", LargeBinary),  # MinHash of its text, for near-duplicates
    Column("updated_at", Instant),
    Column("stamp", Text, nullable=False, server_default=""),  # of its source: equal, not fetched
    Column("intake", String(64), nullable=False, server_default=""),  # how it was read and checked
    Column("edits", JSON(none_as_null=True)),  # metadata that somebody changed here
    Column("expires_at", Instant),  # of its metadata: no search shows it afterwards
    ForeignKeyConstraint(
        ["tenant_id", "collection"], ["collections.tenant_id", "collections.name"]
    ),
    CheckConstraint("status IN ('indexed', 'quarantined')", name="status"),
    Index("ix_documents_tenant_id_collection", "tenant_id", "collection"),
    Index("ix_documents_source_id", "tenant_id", "source_id"),
)

# What was read of a document, so that it can be split anew without its source.
document_bodies = Table(
    "document_bodies",
    metadata,
    Column(
        "document_id", String(64), ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("tenant_id", String(128), nullable=False),
    Column("body", LargeBinary, nullable=False),  # msgpack of the read document, deflated
)

# Which documents a version has split, and in which state of them.
version_documents = Table(
    "version_documents",
    metadata,
    Column("tenant_id", String(128), primary_key=True),
    Column("collection", String(128), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column(
        "document_id", String(64), ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("fingerprint", String(64), nullable=False),
    Index("ix_version_documents_document_id", "document_id"),
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
    Column("version", Integer, nullable=False, server_default="1"),
    Column("start", Integer, nullable=False, server_default="0"),  # characters into the document
    Column("end", Integer, nullable=False, server_default="0"),
    Column("pages", JSON(none_as_null=True)),  # where in its text a page begins
    Column("content_hash", String(64), nullable=False, server_default=""),
    Index("ix_chunks_version", "tenant_id", "collection", "version", "document_id", "position"),
    Index("ix_chunks_document_id", "document_id"),
)

# Vectors that a model made, by what they were made of: never computed twice.
vectors = Table(
    "vectors",
    metadata,
    Column("tenant_id", String(128), primary_key=True),
    Column("model", String(64), primary_key=True),  # digest of its card
    Column("content_hash", String(64), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # float16
    Column("created_at", Instant, nullable=False),
)

# Models that were fitted to a collection, for machines that have no file of them yet.
fitted_models = Table(
    "fitted_models",
    metadata,
    Column("tenant_id", String(128), primary_key=True),
    Column("digest", String(64), primary_key=True),  # of the artefact; the card names it
    Column("collection", String(128), nullable=False),
    Column("chunks", BigInteger, nullable=False),  # the collection had when it was fitted
    Column("artefact", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_fitted_models_collection", "tenant_id", "collection"),
)

# Where documents come from again and again: a site, a bucket, a repository, a watched folder.
document_sources = Table(
    "document_sources",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(128), nullable=False),
    Column("collection", String(128), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("settings", JSON(none_as_null=True), nullable=False),
    Column("every_s", Integer, nullable=False),  # 0: when somebody asks
    Column("next_at", Instant),
    Column("last_at", Instant),
    Column("last_job", String(64), nullable=False),
    Column("token_digest", String(64), nullable=False),  # of its webhook; empty: it has none
    Column("is_paused", Boolean, nullable=False),
    Column("created_by", String(160), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_state", String(16), nullable=False, server_default=""),  # of last_job, once known
    Column("last_error", Text, nullable=False, server_default=""),
    Column("last_result", JSON(none_as_null=True)),
    Column("failures", Integer, nullable=False, server_default="0"),  # one after the other
    Column("is_leaving", Boolean, nullable=False, server_default="0"),  # its documents go first
    ForeignKeyConstraint(
        ["tenant_id", "collection"], ["collections.tenant_id", "collections.name"]
    ),
    Index("ix_document_sources_collection", "tenant_id", "collection"),
    Index("ix_document_sources_next_at", "next_at"),
)

# What an evaluation of a collection measured.
retrieval_runs = Table(
    "retrieval_runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(128), nullable=False),
    Column("collection", String(128), nullable=False),
    Column("version", Integer, nullable=False),
    Column("dataset", String(256), nullable=False),
    Column("dataset_digest", String(64), nullable=False),
    Column("settings", JSON(none_as_null=True), nullable=False),
    Column("measures", JSON(none_as_null=True), nullable=False),
    Column("created_by", String(160), nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_retrieval_runs_collection", "tenant_id", "collection", "created_at"),
)
