"""Documents say how they were taken in and what people changed; a collection says who writes it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns, and what deleting a document looks its parts up by."""
    op.add_column("documents", sa.Column("stamp", sa.Text(), nullable=False, server_default=""))
    op.add_column(
        "documents", sa.Column("intake", sa.String(64), nullable=False, server_default="")
    )
    op.add_column("documents", sa.Column("edits", sa.JSON(none_as_null=True)))
    op.add_column("documents", sa.Column("expires_at", sa.DateTime(timezone=True)))
    op.add_column(
        "collections", sa.Column("writer", sa.String(64), nullable=False, server_default="")
    )
    op.create_index("ix_chunks_document_id", "chunks", ["document_id"])
    op.create_index("ix_version_documents_document_id", "version_documents", ["document_id"])
