"""Who looked into a collection by hand: noted with the documents that were shown."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from santral.audit.note import note
from santral.db.engine import Engine, writing
from santral.retrieval.access import Scope
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId


async def note_seen(
    engine: Engine, scope: Scope, documents: Iterable[str], now: datetime, *, by: Principal
) -> None:
    """Note a search that showed documents to who administers; the question itself is not kept.

    Raises:
        NotFound: no such tenant for ``by``.
        NotAllowed: no role that may read collections there.
    """
    by.require("collections.read", TenantId(scope.tenant_id))
    seen = list(dict.fromkeys(documents))
    if not seen:
        return
    async with writing(engine) as conn:
        await note(
            conn, by.actor, "collections.search", f"collection:{scope.collection}",
            tenant_id=scope.tenant_id, after={"documents": seen}, now=now,
        )  # fmt: skip
