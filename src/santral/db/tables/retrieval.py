"""Collections, their versions, documents and chunks."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from santral.db.tables.shape import Instant, metadata

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
