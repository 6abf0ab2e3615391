"""Acts that change files and not the database: noted all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from santral.audit.note import Actor, note
from santral.config.schema import Config
from santral.db.engine import writing
from santral.db.session import control_database

Answer = TypeVar("Answer")


def noted(
    config: Config,
    act: Callable[[], Answer],
    actor: Actor,
    action: str,
    object: str,
    *,
    tenant_id: str = "*",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Answer:
    """Do ``act`` and note it; an act that raises leaves no row, and without the log it is not done.

    Raises:
        StoreError: the database cannot be used.
    """

    async def run() -> Answer:
        async with control_database(config) as engine, writing(engine) as conn:
            await note(conn, actor, action, object, tenant_id=tenant_id, before=before, after=after)
            return act()

    return asyncio.run(run())
