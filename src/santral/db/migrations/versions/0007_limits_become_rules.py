"""The limits that tenants and keys had become rules."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_RULES = sa.table(
    "limit_rules",
    *(
        sa.column(name, sa.types.NullType())
        for name in (
            "id", "tenant_id", "scope_kind", "scope_id", "measure", "window", "amount", "rate",
            "burst", "time_zone", "wait_s", "uncoordinated",
        )
    ),
    sa.column("is_rolling", sa.Boolean()),
    sa.column("warn_at", sa.JSON()),
    sa.column("is_dry_run", sa.Boolean()),
    sa.column("updated_at", sa.DateTime(timezone=True)),
)  # fmt: skip
_LIMITS = sa.table(
    "limits",
    *(
        sa.column(name, sa.types.NullType())
        for name in (
            "tenant_id", "scope_kind", "scope_id", "requests_per_second", "burst", "tokens_per_day"
        )
    ),
    sa.column("updated_at", sa.DateTime(timezone=True)),
)  # fmt: skip


def upgrade() -> None:
    """Copy them, then drop what they were in."""
    conn = op.get_bind()
    for row in conn.execute(sa.select(_LIMITS)).all():
        if row.requests_per_second is not None:
            rate: dict[str, Any] = {"rate": row.requests_per_second, "burst": row.burst}
            conn.execute(_RULES.insert().values(_rule(row, "requests", "second") | rate))
        if row.tokens_per_day is not None:
            amount = {"amount": row.tokens_per_day}
            conn.execute(_RULES.insert().values(_rule(row, "tokens", "day") | amount))
    op.drop_table("limits")


def _rule(row: Any, measure: str, window: str) -> dict[str, Any]:
    place = f"{row.tenant_id}/{row.scope_kind}/{row.scope_id}/{measure}/{window}"
    return {
        "id": f"lim_{hashlib.blake2b(place.encode(), digest_size=8).hexdigest()}",
        "tenant_id": row.tenant_id,
        "scope_kind": row.scope_kind,
        "scope_id": row.scope_id,
        "measure": measure,
        "window": window,
        "is_rolling": False,
        "time_zone": "UTC",
        "wait_s": 0.0,
        "warn_at": [],
        "uncoordinated": "share",
        "is_dry_run": False,
        "updated_at": row.updated_at,
    }
