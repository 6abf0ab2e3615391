"""What a look of a monitor found, as it is kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct


class Finding(Struct, frozen=True, kw_only=True):
    """One look: its verdict, and ``look.Look`` without what the next one goes on from."""

    id: str
    tenant_id: str
    monitor: str
    verdict: str
    found: dict[str, Any]
    created_at: datetime
