"""Collections get versions, sources and runs; documents what is known of them; keys and people groups.

What was split before is split anew with the next ingest: it lacks the places that citations point to.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_JSON = sa.JSON(none_as_null=True)
_INSTANT = sa.DateTime(timezone=True)


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, server_default="")


def upgrade() -> None:
    """Add what is new, forget the chunks, and let every document be read again."""
    op.add_column("virtual_keys", sa.Column("groups", _JSON))
    op.add_column(
        "virtual_keys",
        sa.Column("names_groups", sa.Boolean(), nullable=False, server_default="0"),
    )
    op.add_column("users", sa.Column("groups", _JSON))
    op.add_column("collections", sa.Column("settings", _JSON))
    op.add_column(
        "collections",
        sa.Column("active_version", sa.Integer(), nullable=False, server_default="0"),
    )
    op.add_column(
        "collections", sa.Column("description", sa.Text(), nullable=False, server_default="")
    )
    for column in (
        _text("fingerprint", 64),
        _text("source_id", 64),
        _text("duplicate_of", 64),
        sa.Column("metadata", _JSON),
        _text("text_hash", 64),
        sa.Column("sketch", sa.LargeBinary()),
        sa.Column("updated_at", sa.DateTime(timezone=True)),
    ):
        op.add_column("documents", column)
    op.drop_column("documents", "recipe")
    op.create_index("ix_documents_source_id", "documents", ["tenant_id", "source_id"])
    op.execute("DELETE FROM chunks")
    op.drop_index("ix_chunks_collection", "chunks")
    for column in (
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("start", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("end", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("pages", _JSON),
        _text("content_hash", 64),
    ):
        op.add_column("chunks", column)
    op.create_index(
        "ix_chunks_version",
        "chunks",
        ["tenant_id", "collection", "version", "document_id", "position"],
    )
    op.execute("UPDATE documents SET content_hash = ''")
    op.execute("UPDATE collections SET revision = revision + 1, generation = 0")
    _create_tables()


def _create_tables() -> None:
    op.create_table(
        "collection_versions",
        sa.Column("tenant_id", sa.String(128), primary_key=True),
        sa.Column("collection", sa.String(128), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("recipe", _JSON, nullable=False),
        sa.Column("recipe_digest", sa.String(64), nullable=False),
        sa.Column("model", _JSON),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.String(64), nullable=False),
        sa.Column("documents", sa.BigInteger(), nullable=False),
        sa.Column("chunks", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(160), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("published_at", _INSTANT),
        sa.ForeignKeyConstraint(
            ["tenant_id", "collection"], ["collections.tenant_id", "collections.name"]
        ),
        sa.CheckConstraint("state IN ('building', 'ready', 'active', 'retired')", name="state"),
    )
    op.create_table(
        "document_bodies",
        sa.Column(
            "document_id",
            sa.String(64),
            sa.ForeignKey("documents.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("tenant_id", sa.String(128), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "version_documents",
        sa.Column("tenant_id", sa.String(128), primary_key=True),
        sa.Column("collection", sa.String(128), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True),
        sa.Column(
            "document_id",
            sa.String(64),
            sa.ForeignKey("documents.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("fingerprint", sa.String(64), nullable=False),
    )
    op.create_table(
        "vectors",
        sa.Column("tenant_id", sa.String(128), primary_key=True),
        sa.Column("model", sa.String(64), primary_key=True),
        sa.Column("content_hash", sa.String(64), primary_key=True),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "document_sources",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant_id", sa.String(128), nullable=False),
        sa.Column("collection", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("settings", _JSON, nullable=False),
        sa.Column("every_s", sa.Integer(), nullable=False),
        sa.Column("next_at", _INSTANT),
        sa.Column("last_at", _INSTANT),
        sa.Column("last_job", sa.String(64), nullable=False),
        sa.Column("token_digest", sa.String(64), nullable=False),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(160), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "collection"], ["collections.tenant_id", "collections.name"]
        ),
    )
    op.create_index(
        "ix_document_sources_collection", "document_sources", ["tenant_id", "collection"]
    )
    op.create_index("ix_document_sources_next_at", "document_sources", ["next_at"])
    op.create_table(
        "retrieval_runs",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant_id", sa.String(128), nullable=False),
        sa.Column("collection", sa.String(128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("dataset", sa.String(256), nullable=False),
        sa.Column("dataset_digest", sa.String(64), nullable=False),
        sa.Column("settings", _JSON, nullable=False),
        sa.Column("measures", _JSON, nullable=False),
        sa.Column("created_by", sa.String(160), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    op.create_index(
        "ix_retrieval_runs_collection", "retrieval_runs", ["tenant_id", "collection", "created_at"]
    )
