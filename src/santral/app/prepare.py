"""Makes the control database ready and publishes the first access file, before anyone is served."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping

from santral.app.access import AccessRecord, access_file, write_access
from santral.app.acts import Acts
from santral.app.catalogue import CataloguePublisher
from santral.app.catalogue_file import catalogue_file
from santral.app.experimenting import publish_experiments
from santral.app.experiments_file import experiments_file
from santral.app.noted import note_start
from santral.app.prompts import publish_prompts
from santral.app.prompts_file import prompts_file
from santral.app.publish import Publisher, read_access
from santral.app.sealing import check_sealed, publish_sealed
from santral.config.load import LoadedConfig
from santral.config.schema import Config
from santral.config.sealed import sealed_file
from santral.db.engine import connect, database_url
from santral.db.migrate import migrate
from santral.quota.limits import default_rules
from santral.tenants.issue import FirstKeys, ensure_first_keys


def prepare(
    loaded: LoadedConfig, env: Mapping[str, str], acts: Acts
) -> tuple[Publisher, FirstKeys | None]:
    """Migrate, make the first keys, write what workers read; return the started publisher.

    Raises:
        StoreError: the database or the data folder cannot be used.
        ConfigError: a sealed secret that a setting names cannot be opened.
    """
    config = loaded.config
    catalogue = CataloguePublisher(catalogue_file(config), config.data.folder)
    first, record = asyncio.run(_prepare(loaded, env, catalogue))
    publisher = Publisher(
        database_url(config),
        access_file(config),
        record,
        default_rules(config.limits),
        time.monotonic,
        time.time,
        sealed_file(config),
        acts,
        catalogue,
        prompts_file(config),
    )
    publisher.start()
    return publisher, first


def rehearse(config: Config) -> None:
    """Bring the database to the shape of this program, as a start would; raises as ``prepare``."""
    asyncio.run(_rehearse(config))


async def _rehearse(config: Config) -> None:
    engine = connect(database_url(config))
    try:
        await migrate(engine)
    finally:
        await engine.dispose()


async def _prepare(
    loaded: LoadedConfig, env: Mapping[str, str], catalogue: CataloguePublisher
) -> tuple[FirstKeys | None, AccessRecord]:
    config = loaded.config
    engine = connect(database_url(config))
    try:
        await migrate(engine)
        first = await ensure_first_keys(
            engine, secrets.token_bytes, application=env.get("SANTRAL_BOOTSTRAP_KEY")
        )
        await check_sealed(engine, config)
        await publish_sealed(engine, sealed_file(config))
        await publish_prompts(engine, prompts_file(config))
        await publish_experiments(engine, experiments_file(config))
        await catalogue.publish(engine)
        await note_start(engine, loaded)
        record = await read_access(engine, default_rules(config.limits), time.time())
        write_access(access_file(config), record)
    finally:
        await engine.dispose()
    return first, record
