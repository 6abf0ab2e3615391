"""Sources of documents say how their last run ended, and leave after their documents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns; no source has run yet."""
    for column in (
        sa.Column("last_state", sa.String(16), nullable=False, server_default=""),
        sa.Column("last_error", sa.Text(), nullable=False, server_default=""),
        sa.Column("last_result", sa.JSON(none_as_null=True)),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("is_leaving", sa.Boolean(), nullable=False, server_default="0"),
    ):
        op.add_column("document_sources", column)
