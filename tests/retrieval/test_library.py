"""The library: what is open at this moment, and what happens when something cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from santral.config.collections import CollectionConfig
from santral.errors import NotFound, StoreError
from santral.retrieval.collection import Recipe, StoredCollection, Version
from santral.retrieval.embedding.model import EmbeddingModel
from santral.retrieval.index.entry import IndexState, Partition
from santral.retrieval.library import Library, Searchable

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Reader:
    """What the library does to a reader; it searches nothing."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.generation = 1
        self.is_closed = False
        self.is_damaged = False

    @property
    def state(self) -> IndexState:
        return IndexState(
            generation=str(self.generation), documents=0, chunks=0, dimensions=0, languages=()
        )

    async def refresh(self) -> bool:
        if self.is_damaged:
            raise StoreError("The index is damaged.")
        return False

    async def close(self) -> None:
        self.is_closed = True


class World:
    """What there is, and what was opened of it."""

    def __init__(self, declared: dict[str, Any] | None = None) -> None:
        self.there: list[Searchable] = []
        self.opened: list[Reader] = []
        self.is_away = False
        settings = {
            name: CollectionConfig.model_validate(value) for name, value in (declared or {}).items()
        }
        self.library = Library(settings, self.read, self.open_reader, self.open_model)

    def add(self, tenant: str, name: str, version: int = 1, **settings: Any) -> None:
        row = StoredCollection(tenant, name, 1, settings or None, version, "", NOW)
        known = Version(version=version, state="active", recipe=Recipe(), created_at=NOW)
        self.there = [
            one
            for one in self.there
            if (one.collection.tenant_id, one.collection.name) != (tenant, name)
        ]
        self.there.append(Searchable(row, known))

    async def read(self) -> Sequence[Searchable]:
        if self.is_away:
            raise StoreError("The database is away.")
        return list(self.there)

    async def open_reader(self, partition: Partition, version: Version) -> Any:
        if partition.collection == "broken":
            raise StoreError("The index is damaged.")
        self.opened.append(Reader(partition))
        return self.opened[-1]

    async def open_model(self, partition: Partition, version: Version) -> EmbeddingModel | None:
        return None


async def test_collections_are_opened_once_and_closed_when_they_are_gone() -> None:
    world = World()
    world.add("acme", "docs")
    assert await world.library.refresh() == 1
    assert await world.library.refresh() == 0
    shelf = world.library.find("acme", "docs")
    assert shelf is not None
    assert shelf.generation == "1:1"
    world.there = []
    assert await world.library.refresh() == 1
    assert not world.opened[0].is_closed  # a search may hold it still
    await world.library.refresh()
    assert world.opened[0].is_closed
    with pytest.raises(NotFound):
        world.library.find("acme", "docs")


async def test_another_version_is_opened_beside_the_one_that_searches_hold() -> None:
    world = World()
    world.add("acme", "docs", 1)
    await world.library.refresh()
    before = world.library.find("acme", "docs")
    world.add("acme", "docs", 2)
    await world.library.refresh()
    after = world.library.find("acme", "docs")
    assert before is not None
    assert after is not None
    assert (before.generation, after.generation) == ("1:1", "2:1")
    assert [reader.partition.version for reader in world.opened] == [1, 2]


async def test_what_cannot_be_opened_keeps_its_last_good_state_and_is_named() -> None:
    world = World()
    world.add("acme", "broken")
    world.add("acme", "docs")
    await world.library.refresh()
    assert world.library.problems == ("acme/broken: The index is damaged.",)
    world.opened[0].is_damaged = True
    await world.library.refresh()
    assert world.library.find("acme", "docs") is not None
    assert "acme/docs: The index is damaged." in world.library.problems


async def test_a_database_that_is_away_takes_nothing_away() -> None:
    world = World()
    world.add("acme", "docs")
    await world.library.refresh()
    world.is_away = True
    await world.library.refresh()
    assert world.library.find("acme", "docs") is not None
    assert world.library.problems == ("The database is away.",)


async def test_a_tenant_finds_its_own_and_what_is_shared_with_it() -> None:
    world = World(
        {
            "handbook": {"owner": "acme", "tenants": ["beta"]},
            "notes": {},
        }
    )
    world.add("acme", "handbook")
    world.add("acme", "secret")
    world.add("beta", "notes")
    await world.library.refresh()
    shared = world.library.find("beta", "handbook")
    assert shared is not None
    assert shared.collection.tenant_id == "acme"
    assert world.library.find("gamma", "notes") is None  # declared for everybody, nothing in it
    for tenant, name in (("gamma", "handbook"), ("beta", "secret"), ("gamma", "secret")):
        with pytest.raises(NotFound) as refused:
            world.library.find(tenant, name)
        assert "secret" not in refused.value.message.partition("'.")[2]


async def test_a_tenants_own_collection_comes_before_a_shared_one_of_its_name() -> None:
    world = World({"handbook": {"owner": "acme", "tenants": ["beta"]}})
    world.add("acme", "handbook")
    world.add("beta", "handbook")
    await world.library.refresh()
    own = world.library.find("beta", "handbook")
    assert own is not None
    assert own.collection.tenant_id == "beta"


async def test_changed_settings_hold_for_the_next_search() -> None:
    world = World({"docs": {}})
    world.add("acme", "docs")
    await world.library.refresh()
    world.library.configure({"docs": CollectionConfig.model_validate({"weights": {"bm25": 1.0}})})
    shelf = world.library.find("acme", "docs")
    assert shelf is not None
    assert shelf.collection.settings.weights == {"bm25": 1.0}


async def test_settings_of_a_newer_version_are_the_defaults() -> None:
    world = World()
    world.add("acme", "docs", 1, setting_of_tomorrow=1)
    await world.library.refresh()
    shelf = world.library.find("acme", "docs")
    assert shelf is not None
    assert shelf.collection.settings == CollectionConfig.model_validate({})
    assert replace(shelf.collection, description="x").description == "x"
