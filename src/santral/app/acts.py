"""What the parent does by itself and notes in the audit log: configurations put in force or refused.

It decides in a loop that never waits, so the notes are handed to the thread that has the database.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime

from santral.audit.entry import SYSTEM, Note
from santral.config.load import LoadedConfig
from santral.config.show import settings

log = logging.getLogger(__name__)

#: Notes that wait while the database is away; more are counted and said. Chosen.
MOST_WAITING = 1000
#: Names of changed settings in one row. Chosen.
MOST_NAMES = 200


class Acts:
    """Notes on their way to the log. One thread adds, another one writes."""

    def __init__(self) -> None:
        self._waiting: deque[Note] = deque()
        self.dropped = 0

    def reloaded(self, before: LoadedConfig, after: LoadedConfig, files: list[str]) -> None:
        """Note that a configuration came into force while running; ``files`` of it changed."""
        names = {**changed(before, after), "files": files[:MOST_NAMES]}
        now = {"digest": after.digest, **names}
        self._add("config.reload", after, {"digest": before.digest}, now)

    def refused(self, in_force: LoadedConfig, reason: str) -> None:
        """Note that a configuration was refused and the last one stays."""
        self._add("config.refused", in_force, {"digest": in_force.digest}, {"reason": reason})

    def waiting(self) -> list[Note]:
        """Return what waits, the oldest first."""
        return list(self._waiting)

    def written(self, count: int) -> None:
        """Drop the oldest ones: they stand in the log."""
        for _ in range(count):
            self._waiting.popleft()

    def _add(
        self,
        action: str,
        loaded: LoadedConfig,
        before: Mapping[str, object],
        after: Mapping[str, object],
    ) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            log.error("act_not_noted", extra={"action": action, "dropped": self.dropped})
            return
        self._waiting.append(
            Note(
                actor=SYSTEM,
                action=action,
                object=config_object(loaded),
                tenant_id="*",
                before=before,
                after=after,
                occurred_at=datetime.now(UTC),
            )
        )


def config_object(loaded: LoadedConfig) -> str:
    """Return what the log calls the configuration of this machine."""
    return f"config:{socket.gethostname()}:{loaded.path or 'defaults'}"


def changed(before: LoadedConfig, after: LoadedConfig) -> dict[str, object]:
    """Return the names of the settings that differ; values stay out, for some are nobody's business."""
    old = {setting.name: setting.value for setting in settings(before)}
    new = {setting.name: setting.value for setting in settings(after)}
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    cut = {"more": len(names) - MOST_NAMES} if len(names) > MOST_NAMES else {}
    return {"changed": names[:MOST_NAMES], **cut}
