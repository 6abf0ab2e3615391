"""Retrieval of one process: the library, what searches it, and the models that both ask."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from msgspec import Struct

from santral.app.asking import deployments_for, model_of_route, rerankers_of
from santral.app.catalogue import from_database
from santral.app.library import library_of, models_of
from santral.app.providers import ProviderPool
from santral.config.schema import Config
from santral.db.engine import Engine
from santral.retrieval.embedding.registry import Models
from santral.retrieval.library import Library
from santral.retrieval.search.retriever import Retriever
from santral.retrieval.search.reword import AskModel


class Retrieval(Struct, frozen=True):
    """What the control process and commands search and embed with."""

    library: Library
    retriever: Retriever
    models: Models
    ask: AskModel


@asynccontextmanager
async def opened_retrieval(config: Config, engine: Engine) -> AsyncGenerator[Retrieval]:
    """Open every collection of the database, with the providers of the configuration beside.

    Raises:
        ConfigError: a provider's settings or secret cannot be used.
    """
    pool = ProviderPool(time.monotonic, time.time, random.Random())  # noqa: S311 - ids of calls
    providers = pool.build(config.providers)
    pool.keep()
    models = models_of(config, deployments_for(config, providers), engine)
    library = library_of(config, from_database(engine), models)
    ask = model_of_route(config, providers)
    retriever = Retriever(
        library,
        ask=ask,
        rerankers=rerankers_of(config, providers),
        now=time.time,
    )
    try:
        await library.refresh()
        yield Retrieval(library, retriever, models, ask)
    finally:
        await library.close()
        await pool.close()
