"""Sign-ins that were refused: noted, but no stranger fills the log with them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from santral.audit.note import Actor, note
from santral.db.engine import Engine, writing
from santral.errors import SantralError, StoreError

log = logging.getLogger(__name__)

#: Rows in one minute; further refusals are counted, and the next row says how many there were.
#: Chosen: enough to see who tries, and 86,400 rows a day at most.
PER_MINUTE = 60


class Refusals:
    """Notes refused sign-ins of one process. ``clock`` is seconds since 1970."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock
        self._minute = 0
        self._noted = 0
        self.unnoted = 0

    async def note(self, origin: str, error: SantralError) -> None:
        """Note that somebody at ``origin`` was refused, and why; never fails for it."""
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute, self._noted = minute, 0
        if self._noted >= PER_MINUTE:
            self.unnoted += 1
            return
        self._noted += 1
        before, self.unnoted = self.unnoted, 0
        after = {"code": error.detail_code, "reason": error.message[:500], "unnoted": before}
        try:
            async with writing(self._engine) as conn:
                actor = Actor("unknown", origin)
                await note(conn, actor, "sessions.refused", "console", tenant_id="*", after=after)
        except StoreError as failure:
            self.unnoted += before + 1
            log.warning("refused_sign_in_not_noted", extra={"error": failure.message})
