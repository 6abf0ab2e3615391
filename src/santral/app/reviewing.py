"""What is done for review queues again and again, built from the parts of one process."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from santral.config.schema import Config
from santral.db.engine import Engine
from santral.gateway.held.cabinet import HeldCabinet
from santral.review.upkeep import Upkeep
from santral.traces.store import TraceStore

#: How often queues look through new traces and held answers, in seconds. Chosen: a held answer is in
#: its queue before its reviewer has opened the page.
LOOK_EVERY_S = 5.0


def cabinet_of(config: Config) -> HeldCabinet:
    """Return where answers lie that wait for a reviewer."""
    return HeldCabinet(config.data.folder / "objects", time.time)


def review_upkeep(config: Config, engine: Engine, store: TraceStore) -> Upkeep:
    """Return the repeated work of the process that has the telemetry store open."""
    return Upkeep(engine, store, store.insert_scores, cabinet_of(config), lambda: datetime.now(UTC))
