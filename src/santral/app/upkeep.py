"""What the control process does for the audit log, sealed secrets and sources beside its other work."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

from santral.app.sealed import SealedReader
from santral.audit.retain import run_retention
from santral.audit.witness import Witness
from santral.config.schema import Config
from santral.config.sealed import sealed_references
from santral.db.engine import Engine
from santral.errors import SantralError
from santral.evals.drift.job import run_schedule
from santral.retrieval.ingest.refresh import start_refresh
from santral.retrieval.sources.schedule import Schedule

log = logging.getLogger(__name__)

#: How often the file of sealed secrets is looked at, in seconds. Specified: a change is in force
#: within 2 s.
LOOK_EVERY_S = 0.5


def upkeep(config: Config, engine: Engine) -> list[Callable[[], Awaitable[None]]]:
    """Return the work: each runs until it is cancelled.

    Raises:
        SantralError: a sealed secret that a setting names cannot be opened.
    """
    witness = Witness(config.data.folder)
    work: list[Callable[[], Awaitable[None]]] = [
        partial(witness.run, engine, config.audit.witness_every_s),
        partial(run_retention, engine, config.audit.keep_months),
        schedule_of(config, engine).run,
        partial(run_schedule, engine, lambda: datetime.now(UTC)),
    ]
    if sealed_references(config) or has_keys(config):  # sources of documents may name them, too
        reader = SealedReader(config)
        if sealed_references(config):
            reader.look()
        work.append(partial(_follow, reader))
    return work


def schedule_of(config: Config, engine: Engine) -> Schedule:
    """Return what lets sources of documents run when their moment comes."""
    return Schedule(
        engine,
        config.data.folder,
        start_refresh,
        clock=lambda: datetime.now(UTC),
        random=random.random,
    )


def has_keys(config: Config) -> bool:
    """Whether something is configured that opens sealed secrets."""
    return config.secrets.master_key is not None or config.secrets.transit is not None


async def _follow(reader: SealedReader) -> None:
    """Hold the sealed secrets as they are now; those of before stay while one does not open."""
    said = ""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            await asyncio.to_thread(reader.look)
            said = ""
        except SantralError as error:
            if error.message != said:
                log.warning("sealed_secrets_not_opened", extra={"reason": error.message})
                said = error.message
