"""Builds what ingests work with: the workshop, models, versions, and the checks of policies."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import Any

from santral.app.asking import deployments_for
from santral.app.library import models_of
from santral.app.providers import ProviderPool
from santral.config.schema import Config
from santral.db.engine import Connection, Engine
from santral.errors import BadRequest, nearest
from santral.guardrails.policy import compile_policy, inspect
from santral.retrieval.collection import Collection, Version
from santral.retrieval.collections import store, versions
from santral.retrieval.collections.known import collection_of, row_of
from santral.retrieval.embedding.deployment import Asked
from santral.retrieval.index.entry import Partition
from santral.retrieval.index.index import IndexWriter
from santral.retrieval.index.registry import open_writer
from santral.retrieval.ingest.ingest import Delivery
from santral.retrieval.ingest.job import OpenSource
from santral.retrieval.ingest.workplace import Inspected, Inspector, Workplace
from santral.retrieval.reading.task import Limits
from santral.retrieval.reading.workshop import Workshop
from santral.retrieval.sources.opened import opened

#: Documents until a child that reads is replaced. Measured: one of 500 spends a third of its time on
#: starting; what a parser leaks is bounded by the memory that a child may take.
_LIMITS = Limits(files=5_000)


class KeptVersions:
    """What ``collections/`` keeps, as an ingest asks for it."""

    def __init__(self, config: Config) -> None:
        self._config = config

    async def find(self, conn: Connection, tenant_id: str, name: str) -> Collection:
        """Return a collection; see ``Versions``."""
        return collection_of(self._config, await row_of(conn, tenant_id, name))

    async def wanted(
        self, conn: Connection, collection: Collection, now: datetime, by: str
    ) -> Sequence[Version]:
        """Return the versions to bring up to date."""
        return await versions.wanted_versions(conn, collection, now, by)

    async def add(
        self, conn: Connection, collection: Collection, like: Version, now: datetime, by: str
    ) -> Version:
        """Add a version in which the vectors of another one are fitted anew."""
        return await versions.refit_version(conn, collection, like, now, by)

    async def retired(self, conn: Connection, collection: Collection) -> Sequence[Version]:
        """Return the versions that were given up and whose index is still there."""
        every = await store.list_versions(conn, collection.tenant_id, collection.name)
        return [one for one in every if one.state == "retired" and one.generation]

    async def retire(self, conn: Connection, collection: Collection, version: int) -> None:
        """Give up a version."""
        await versions.retire(conn, collection, version)

    async def note(
        self, conn: Connection, collection: Collection, version: int, **changed: Any
    ) -> None:
        """Write down what is known of a version now."""
        await store.update_version(conn, collection.tenant_id, collection.name, version, **changed)

    async def activate(
        self, conn: Connection, collection: Collection, version: int, now: datetime
    ) -> None:
        """Let searches see a version from now on."""
        await versions.activate(conn, collection, version, now)


@asynccontextmanager
async def workplace(
    config: Config,
    engine: Engine,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AsyncGenerator[Workplace]:
    """Hold the parts of a process that ingests; its children end with the block."""

    async def writer_of(partition: Partition, name: str) -> IndexWriter:
        return await open_writer(partition, name, config.indexes, config.data.folder)

    pool = ProviderPool(time.monotonic, time.time, random.Random())  # noqa: S311 - ids of calls

    def find_deployment(name: str) -> Asked:
        providers = pool.build(config.providers)  # needs their secrets, which most ingests do not
        pool.keep()
        return deployments_for(config, providers)(name)

    try:
        async with Workshop(limits=_LIMITS) as workshop:
            yield Workplace(
                engine=engine,
                data_folder=config.data.folder,
                workshop=workshop,
                versions=KeptVersions(config),
                models=models_of(config, find_deployment, engine),
                open_writer=writer_of,
                inspector_of=partial(inspector_of, config),
                clock=clock,
            )
    finally:
        await pool.close()


def source_opener(config: Config, engine: Engine) -> OpenSource:
    """Return what holds a source of a tenant open, by its id."""

    @asynccontextmanager
    async def open_source(collection: Collection, source_id: str) -> AsyncGenerator[Delivery]:
        max_bytes = collection.settings.max_file_bytes
        held = opened(
            engine, config.sources, config.data.folder, collection.tenant_id, source_id, max_bytes
        )
        async with held as source:
            yield Delivery(source.source, source_id, has_sidecars=source.has_sidecars)

    return open_source


def inspector_of(config: Config, name: str) -> Inspector:
    """Return the checks of retrieved text of a policy.

    Raises:
        BadRequest: there is no such policy.
        ConfigError: it cannot be compiled.
    """
    declared = config.policies.get(name)
    if declared is None:
        raise BadRequest(
            f"There is no policy '{name}'.{nearest(name, config.policies)} Policies stand in "
            "santral.toml under [policies].",
            code="policy_not_found",
            param="policy",
        )
    checks = compile_policy(name, declared).retrieved

    async def look(texts: Sequence[str]) -> Inspected:
        outcome = await inspect(checks, texts, "retrieved")
        reason = outcome.refusal.reason or outcome.refusal.check if outcome.refusal else ""
        return Inspected(outcome.texts, reason)

    said = declared.model_dump_json(include={"retrieved"})
    return Inspector(blake2b(said.encode(), digest_size=16).hexdigest(), look)
