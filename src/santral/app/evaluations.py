"""Builds what evaluations work with: the gateway they ask, and the tools of evaluators."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from santral.app.asking import deployments_for
from santral.app.elsewhere import asked_server
from santral.app.evaluating import opened_gateway
from santral.app.kinds import known_evaluators
from santral.app.library import models_of
from santral.app.providers import ProviderPool
from santral.config.load import LoadedConfig
from santral.config.schema import Config
from santral.db.engine import Engine, reading
from santral.errors import BadRequest
from santral.evals.answer import Ask
from santral.evals.calibration.kept import standings_of
from santral.evals.place import Place
from santral.evals.standing import Standing
from santral.evals.tools import Tools
from santral.retrieval.embedding.deployment import Asked
from santral.retrieval.embedding.model import EmbeddingModel
from santral.tenants.tenant import TenantId


def evaluation_place(
    loaded: LoadedConfig, engine: Engine | None, url: str = "", key: str = ""
) -> Place:
    """Return what a process evaluates with; ``url`` names a server to ask in place of this process."""

    def ask_server(
        loaded: LoadedConfig, engine: Engine, tenant: TenantId
    ) -> AbstractAsyncContextManager[Ask]:
        del loaded, engine, tenant  # the server has its own, and the key says whose it is
        return asked_server(url, key)

    return Place(
        loaded=loaded,
        engine=engine,
        open_ask=ask_server if url else opened_gateway,
        open_tools=opened_tools,
        evaluators=known_evaluators(),
        clock=lambda: datetime.now(UTC),
        random_bytes=secrets.token_bytes,
        is_remote=bool(url),
    )


@asynccontextmanager
async def opened_tools(
    loaded: LoadedConfig,
    engine: Engine | None,
    tenant: TenantId,
    ask: Ask | None,
    folder: Path,
) -> AsyncGenerator[Tools]:
    """Hold what evaluators need; models of vectors are opened when one asks for them."""
    config = loaded.config
    pool = ProviderPool(time.monotonic, time.time, random.Random())  # noqa: S311 - ids of calls

    def find_deployment(name: str) -> Asked:
        providers = pool.build(config.providers)  # needs their secrets, which most suites do not
        pool.keep()
        return deployments_for(config, providers)(name)

    models = models_of(config, find_deployment, engine)

    async def embedding(name: str) -> EmbeddingModel:
        found = await models.open(tenant, name, None, None)
        if found is None:
            raise BadRequest(f"'{name}' makes no vectors: name a model that does.", param="model")
        return found

    try:
        yield Tools(
            ask=ask,
            embedding=embedding,
            models_of=lambda route: models_for(config, route),
            standings=await _standings(engine, tenant),
            folder=folder,
        )
    finally:
        await pool.close()


async def _standings(engine: Engine | None, tenant: TenantId) -> Mapping[str, Standing]:
    """Return what judges are worth, by digest; without a database only files can say it."""
    if engine is None:
        return {}
    async with reading(engine) as conn:
        return await standings_of(conn, tenant)


def models_for(config: Config, route: str) -> tuple[str, ...]:
    """Return the models that may answer for a route, in the order of its ladder."""
    known = config.routes.get(route)
    names = [name for rung in known.ladder for name in rung.deployments] if known else [route]
    models = [config.deployments[name].model for name in names if name in config.deployments]
    return tuple(dict.fromkeys(models)) or (route,)
