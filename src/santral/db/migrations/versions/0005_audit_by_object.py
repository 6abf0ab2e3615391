"""The audit log is asked by what was acted on: for one object's history, and before a decision is added."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_audit_log_object", "audit_log", ["object"])
