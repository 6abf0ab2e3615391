"""What a key administers is its role: whether it is an administrator's is no longer asked."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Give keys that were made since roles came the role they had, and drop the column."""
    op.execute(
        "UPDATE virtual_keys SET role = 'owner', role_over = '*' WHERE is_admin AND role IS NULL"
    )
    op.drop_column("virtual_keys", "is_admin")
