"""Administrators search: as anybody would, within their tenants, and the audit log knows."""

from __future__ import annotations

import pytest
from tests.db.databases import anyio_backend, database, engine, migrated_postgres, sqlite_template
from tests.db.postgres import postgres_server
from tests.retrieval.search.shelves import NOW_S, OneShelf, document
from tests.tenants.acting import OPERATOR, acting, plant

from santral.audit.history import list_entries
from santral.audit.store import Question as Rows
from santral.db.engine import Engine
from santral.errors import NotAllowed, NotFound
from santral.retrieval.search.look import Look, look
from santral.retrieval.search.question import Question
from santral.retrieval.search.retriever import Retriever

__all__ = [
    "anyio_backend", "database", "engine", "migrated_postgres", "postgres_server",
    "sqlite_template",
]  # fmt: skip

pytestmark = pytest.mark.anyio


def searcher() -> Retriever:
    entries = [
        document("leave", "Annual leave is 14 days."),
        document("board", "Annual leave of the board is secret.", allowed_groups=("board",)),
    ]
    return Retriever(OneShelf(entries), now=lambda: NOW_S)


def wanted(**changes: object) -> Look:
    given: dict[str, object] = {
        "tenant_id": "acme", "collection": "docs", "question": Question("annual leave"), **changes,
    }  # fmt: skip
    return Look(**given)  # pyright: ignore[reportArgumentType]


async def test_what_was_shown_is_noted_and_the_question_is_not(engine: Engine) -> None:
    await plant(engine, "acme")
    await look(engine, searcher(), wanted(), by=OPERATOR)
    entry = (await list_entries(engine, Rows(action="collections.search")))[0]
    assert (entry.object, entry.tenant_id) == ("collection:docs", "acme")
    assert entry.after is not None
    assert set(entry.after["documents"]) == {"leave", "board"}
    assert "annual" not in str(entry)


async def test_nothing_is_noted_where_nothing_was_shown(engine: Engine) -> None:
    await plant(engine, "acme")
    found = await look(engine, searcher(), wanted(question=Question("xyzzy")), by=OPERATOR)
    assert found.sources == ()
    assert await list_entries(engine, Rows(action="collections.search")) == []


async def test_an_administrator_sees_as_a_group_would(engine: Engine) -> None:
    await plant(engine, "acme")
    seen = {
        groups: {
            source.document_id
            for source in (
                await look(engine, searcher(), wanted(groups=groups), by=OPERATOR)
            ).sources
        }
        for groups in (None, (), ("hr",), ("board",))
    }
    assert seen[None] == seen[("board",)] == {"leave", "board"}
    assert seen[()] == seen[("hr",)] == {"leave"}


async def test_who_may_not_read_collections_searches_none(engine: Engine) -> None:
    await plant(engine, "acme", "other")
    with pytest.raises(NotAllowed):
        await look(engine, searcher(), wanted(), by=await acting(engine, "reviewer", "acme"))
    with pytest.raises(NotFound):
        await look(engine, searcher(), wanted(), by=await acting(engine, "owner", "other"))
    with pytest.raises(NotFound, match="There is no collection 'dcos'"):
        await look(engine, searcher(), wanted(collection="dcos"), by=OPERATOR)
