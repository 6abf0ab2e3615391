"""What the control process does for the audit log and for sealed secrets beside its other work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from santral.app.sealed import SealedReader
from santral.audit.retain import run_retention
from santral.audit.witness import Witness
from santral.config.schema import Config
from santral.config.sealed import sealed_references
from santral.db.engine import Engine
from santral.errors import SantralError

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
    ]
    if sealed_references(config):
        reader = SealedReader(config)
        reader.look()
        work.append(partial(_follow, reader))
    return work


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
