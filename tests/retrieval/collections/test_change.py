"""Collections and their versions, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert

from santral.config.schema import Config
from santral.db.engine import Engine, reading, writing
from santral.db.tables import documents
from santral.errors import BadRequest, Conflict, NotAllowed, NotFound
from santral.retrieval.collection import Version, recipe_of, settings_of
from santral.retrieval.collections import store
from santral.retrieval.collections.change import (
    change_collection,
    create_collection,
    delete_collection,
    list_collections,
    show_collection,
)
from santral.retrieval.collections.known import collection_of
from santral.retrieval.collections.versions import (
    activate,
    add_version,
    drop_version,
    refit_version,
    switch_version,
    version_for,
    wanted_versions,
)
from santral.retrieval.embedding.model import ModelCard
from santral.retrieval.index.entry import Partition
from santral.retrieval.ingest import store as revisions
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.tenants.permission import Grant, Principal
from santral.tenants.store import load_tree
from santral.tenants.tenant import TenantId

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DECLARED = Config.model_validate({"collections": {"handbook": {"child_tokens": 200}}})
BY = local_operator()


@pytest.fixture(autouse=True)
async def tenant(engine: Engine) -> None:
    await create_tenant(engine, "default", None, NOW, by=BY)


class Dropped:
    """Notes which indexes were dropped."""

    def __init__(self) -> None:
        self.partitions: list[tuple[Partition, str]] = []

    async def __call__(self, partition: Partition, engine: str) -> None:
        self.partitions.append((partition, engine))


async def made(database: Engine, name: str = "docs", /, **settings: Any) -> None:
    await create_collection(database, DECLARED, "default", name, settings, NOW, by=BY)


async def published(engine: Engine, name: str, version: int) -> None:
    """Make a version complete, as the end of an ingest does."""
    async with writing(engine) as conn:
        row = await store.find_collection(conn, "default", name)
        assert row is not None
        await store.update_version(
            conn, "default", name, version,
            state="ready", revision=row.revision, generation="g", published_at=NOW,
        )  # fmt: skip
        if row.active_version == 0:
            await activate(conn, collection_of(DECLARED, row), version, NOW)


async def versions(engine: Engine, name: str = "docs") -> dict[int, Version]:
    async with reading(engine) as conn:
        return {one.version: one for one in await store.list_versions(conn, "default", name)}


async def test_a_collection_keeps_what_differs_from_the_defaults(engine: Engine) -> None:
    await made(engine, child_tokens=200, search={"diversity": 0.3})
    line = await show_collection(engine, DECLARED, "default", "docs", by=BY)
    assert line.collection.settings.child_tokens == 200
    assert line.collection.settings.search.diversity == 0.3
    assert line.collection.settings.parent_tokens == 1500
    async with reading(engine) as conn:
        row = await store.find_collection(conn, "default", "docs")
    assert row is not None
    assert row.settings == {"child_tokens": 200, "search": {"diversity": 0.3}}


async def test_a_model_that_does_not_speak_the_language_is_warned_of(engine: Engine) -> None:
    await made(engine, embedding="minilm")
    async with writing(engine) as conn:
        row = await store.find_collection(conn, "default", "docs")
        assert row is not None
        version, _ = await version_for(
            conn, collection_of(DECLARED, row), recipe_of(settings_of({}, row)), NOW, "somebody"
        )
        card = ModelCard(name="minilm", digest="d", dimensions=384, languages=("en",))
        await store.update_version(conn, "default", "docs", version.version, model=card)
        for number, language in enumerate(("tr", "tr", "en")):
            await conn.execute(
                insert(documents).values(
                    id=f"d{number}", tenant_id="default", collection="docs", location=f"l{number}",
                    root="r", source="s", title="t", kind="text", language=language,
                    content_hash="h", size_bytes=1, status="indexed", reason="", created_at=NOW,
                )
            )  # fmt: skip
    assert (await show_collection(engine, DECLARED, "default", "docs", by=BY)).warning == ""
    await published(engine, "docs", version.version)
    line = await show_collection(engine, DECLARED, "default", "docs", by=BY)
    assert line.languages == {"tr": 2, "en": 1}
    assert "'minilm' was made for en" in line.warning
    assert line == (await list_collections(engine, DECLARED, "default", by=BY))[0]


async def test_a_name_that_is_taken_or_declared_or_no_name_is_refused(engine: Engine) -> None:
    await made(engine)
    with pytest.raises(Conflict, match="already"):
        await made(engine)
    with pytest.raises(Conflict, match=r"\[collections.handbook\]"):
        await made(engine, "handbook")
    for name in ("", "../up", "a/b", "x" * 129, "naïve"):
        with pytest.raises(BadRequest, match="cannot be called"):
            await made(engine, name)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"child_token": 5}, "child_tokens"),
        ({"child_tokens": 1}, "child_tokens"),
        ({"child_tokens": 2000, "parent_tokens": 100}, "larger"),
        ({"engine": "qdrnt"}, "no index"),
        ({"policy": "strict"}, "no policy"),
        ({"embedding": "deployment:none"}, "no deployment"),
        ({"tenants": ["acme"]}, "santral.toml"),
        ({"owner": "acme"}, "santral.toml"),
        ({"weights": {"bm25": 0.0}}, "nothing would be found"),
        ({"search": {"rewrite_route": "none"}}, "no route"),
    ],
)
async def test_a_setting_that_means_nothing_is_named(
    engine: Engine, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadRequest, match=said):
        await made(engine, **settings)
    assert await list_collections(engine, DECLARED, "default", by=BY) == []


async def test_changes_are_merged_and_null_takes_one_back(engine: Engine) -> None:
    await made(engine, child_tokens=200, search={"diversity": 0.3, "neighbours": 1})
    changes = {"child_tokens": None, "search": {"diversity": 0.5}}
    after = await change_collection(engine, DECLARED, "default", "docs", changes, NOW, by=BY)
    assert after.settings.child_tokens == 300
    assert after.settings.search.diversity == 0.5
    assert after.settings.search.neighbours == 1


async def test_a_declared_collection_is_changed_in_the_file_only(engine: Engine) -> None:
    async with writing(engine) as conn:
        await store.insert_collection(conn, "default", "handbook", None, "", NOW)
    line = await show_collection(engine, DECLARED, "default", "handbook", by=BY)
    assert line.collection.is_declared
    assert line.collection.settings.child_tokens == 200
    with pytest.raises(Conflict, match=r"santral\.toml"):
        await change_collection(
            engine, DECLARED, "default", "handbook", {"child_tokens": 90}, NOW, by=BY
        )


async def test_an_unknown_collection_names_the_nearest(engine: Engine) -> None:
    await made(engine, "handbooks")
    with pytest.raises(NotFound, match="Did you mean 'handbooks'"):
        await show_collection(engine, DECLARED, "default", "handboks", by=BY)


async def test_an_ingest_builds_the_version_of_the_settings_and_keeps_the_active_one(
    engine: Engine,
) -> None:
    await made(engine)
    first = await wanted(engine)
    assert [one.version for one in first] == [1]
    await published(engine, "docs", 1)
    assert [one.version for one in await wanted(engine)] == [1]
    await change_collection(engine, DECLARED, "default", "docs", {"child_tokens": 100}, NOW, by=BY)
    second = await wanted(engine)
    assert [(one.version, one.recipe.child_tokens) for one in second] == [(2, 100), (1, 300)]
    assert second[0].state == "building"


async def test_a_change_of_the_search_alone_makes_no_version(engine: Engine) -> None:
    await made(engine)
    await wanted(engine)
    changes = {"search": {"diversity": 0.5}, "weights": {"bm25": 1.0}}
    await change_collection(engine, DECLARED, "default", "docs", changes, NOW, by=BY)
    assert [one.version for one in await wanted(engine)] == [1]


async def test_a_refit_is_a_version_of_the_same_settings(engine: Engine) -> None:
    await made(engine)
    (fitted,) = await wanted(engine)
    async with writing(engine) as conn:
        row = await store.find_collection(conn, "default", "docs")
        assert row is not None
        found = collection_of(DECLARED, row)
        again = await refit_version(conn, found, fitted, NOW, "system")
        assert (again.version, again.recipe.fit) == (2, 1)
        assert (await refit_version(conn, found, fitted, NOW, "system")).version == 2
    assert [one.version for one in await wanted(engine)] == [2, 1]


async def test_switching_and_going_back(engine: Engine) -> None:
    await made(engine)
    await wanted(engine)
    async with writing(engine) as conn:
        await revisions.bump_collection(conn, "default", "docs", NOW)
    await published(engine, "docs", 1)
    added = await add_version(
        engine, DECLARED, "default", "docs", {"chunking": "window"}, NOW, by=BY
    )
    assert added.version == 2
    with pytest.raises(Conflict, match="not complete"):
        await switch_version(engine, DECLARED, "default", "docs", 2, NOW, by=BY)
    await published(engine, "docs", 2)
    await switch_version(engine, DECLARED, "default", "docs", 2, NOW, by=BY)
    states = {number: one.state for number, one in (await versions(engine)).items()}
    assert states == {1: "ready", 2: "active"}
    back = await switch_version(engine, DECLARED, "default", "docs", None, NOW, by=BY)
    assert back.version == 1
    states = {number: one.state for number, one in (await versions(engine)).items()}
    assert states == {1: "active", 2: "ready"}


async def test_a_version_behind_its_documents_is_not_switched_to(engine: Engine) -> None:
    await made(engine)
    await wanted(engine)
    await published(engine, "docs", 1)
    await add_version(engine, DECLARED, "default", "docs", {"child_tokens": 90}, NOW, by=BY)
    await published(engine, "docs", 2)
    async with writing(engine) as conn:
        await revisions.bump_collection(conn, "default", "docs", NOW)
    with pytest.raises(Conflict, match="not complete"):
        await switch_version(engine, DECLARED, "default", "docs", 2, NOW, by=BY)


async def test_only_what_makes_a_version_may_differ_in_one(engine: Engine) -> None:
    await made(engine)
    with pytest.raises(BadRequest, match="Did you mean 'chunking'"):
        await add_version(engine, DECLARED, "default", "docs", {"chunkin": "whole"}, NOW, by=BY)
    with pytest.raises(BadRequest, match="does not make a version"):
        await add_version(engine, DECLARED, "default", "docs", {"weights": {}}, NOW, by=BY)


async def test_a_version_that_is_given_up_leaves_nothing(engine: Engine) -> None:
    await made(engine)
    await wanted(engine)
    await published(engine, "docs", 1)
    await add_version(engine, DECLARED, "default", "docs", {"child_tokens": 90}, NOW, by=BY)
    dropped = Dropped()
    with pytest.raises(Conflict, match="is searched"):
        await drop_version(engine, DECLARED, "default", "docs", 1, by=BY, drop=dropped)
    await drop_version(engine, DECLARED, "default", "docs", 2, by=BY, drop=dropped)
    assert dropped.partitions == [(Partition("default", "docs", 2), "embedded")]
    with pytest.raises(NotFound, match="no version 2"):
        await switch_version(engine, DECLARED, "default", "docs", 2, NOW, by=BY)
    later = await add_version(engine, DECLARED, "default", "docs", {"child_tokens": 90}, NOW, by=BY)
    assert later.version == 3  # a number is never used again: what was dropped may linger somewhere


async def test_a_deleted_collection_takes_everything_with_it(engine: Engine) -> None:
    await made(engine)
    await wanted(engine)
    await published(engine, "docs", 1)
    dropped = Dropped()
    await delete_collection(engine, DECLARED, "default", "docs", by=BY, drop=dropped)
    assert await list_collections(engine, DECLARED, "default", by=BY) == []
    assert await versions(engine) == {}
    assert dropped.partitions == [(Partition("default", "docs", 1), "embedded")]


async def test_gateways_are_told_of_published_collections_only(engine: Engine) -> None:
    await made(engine)
    await made(engine, "empty")
    await wanted(engine)
    async with reading(engine) as conn:
        assert await store.active_versions(conn) == []
    await published(engine, "docs", 1)
    async with reading(engine) as conn:
        found = await store.active_versions(conn)
    assert [(row.name, version.version, version.state) for row, version in found] == [
        ("docs", 1, "active")
    ]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found[0][1]), type=Version) == found[0][1]


async def test_another_tenants_collections_cannot_be_told_from_none(engine: Engine) -> None:
    await create_tenant(engine, "acme", None, NOW, by=BY)
    await create_tenant(engine, "rival", None, NOW, by=BY)
    async with reading(engine) as conn:
        tree = await load_tree(conn)
    rival = Principal("key:1", "test", (Grant("owner", TenantId("rival")),), tree)
    await create_collection(engine, DECLARED, "acme", "secret", {}, NOW, by=BY)
    for tenant in ("acme", "nobody"):
        with pytest.raises(NotFound, match="no tenant"):
            await show_collection(engine, DECLARED, tenant, "secret", by=rival)
        with pytest.raises(NotFound, match="no tenant"):
            await create_collection(engine, DECLARED, tenant, "mine", {}, NOW, by=rival)
    viewer = Principal("key:2", "test", (Grant("viewer", TenantId("acme")),), tree)
    with pytest.raises(NotAllowed):
        await list_collections(engine, DECLARED, "acme", by=viewer)


async def wanted(engine: Engine, name: str = "docs") -> list[Version]:
    async with writing(engine) as conn:
        row = await store.find_collection(conn, "default", name)
        assert row is not None
        return await wanted_versions(conn, collection_of(DECLARED, row), NOW, "system")
