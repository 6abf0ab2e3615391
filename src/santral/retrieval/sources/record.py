"""A source as the control database keeps it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

#: ``last_state`` while a job of the source waits or runs.
RUNNING = "running"


class KeptSource(Struct, frozen=True, kw_only=True):
    """Where documents of a collection come from, when, and how the last run ended.

    ``every_s`` 0 means: when somebody asks. ``failures`` counts runs in a row that failed. One that
    ``is_leaving`` is being deleted: it goes when its documents are gone.
    """

    id: str
    tenant_id: str
    collection: str
    kind: str
    settings: dict[str, Any]
    every_s: int = 0
    next_at: datetime | None = None
    last_at: datetime | None = None
    last_job: str = ""
    last_state: str = ""
    last_error: str = ""
    last_result: dict[str, Any] | None = None
    failures: int = 0
    token_digest: str = ""
    is_paused: bool = False
    is_leaving: bool = False
    created_by: str
    created_at: datetime
