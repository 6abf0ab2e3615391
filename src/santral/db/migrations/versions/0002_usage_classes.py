"""The ledger tells cache writes for an hour, audio and images apart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the classes; rows that are there used none of them."""
    for name in ("cache_write_1h", "input_audio", "input_image", "output_audio", "output_image"):
        op.add_column(
            "ledger", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        )
