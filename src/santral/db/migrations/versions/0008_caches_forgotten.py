"""Tenants say from when on their cached answers count: earlier ones are forgotten by every worker."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column; nothing was forgotten yet."""
    op.add_column("tenants", sa.Column("caches_forgotten_at", sa.DateTime(timezone=True)))
