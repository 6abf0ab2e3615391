"""Models that were fitted to a collection are kept where every machine can have them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the table of fitted models."""
    op.create_table(
        "fitted_models",
        sa.Column("tenant_id", sa.String(128), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("collection", sa.String(128), nullable=False),
        sa.Column("chunks", sa.BigInteger(), nullable=False),
        sa.Column("artefact", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_fitted_models_collection", "fitted_models", ["tenant_id", "collection"])
