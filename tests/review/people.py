"""Raters, queues and items for tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any

from santral.db.engine import Engine, reading, writing
from santral.review import store
from santral.review.change import create_queue
from santral.review.item import Content, Item, ItemKind, Said, Shown, Task
from santral.review.queue import Queue
from santral.tenants import organise
from santral.tenants.operator import local_operator
from santral.tenants.permission import Grant, Principal, Role
from santral.tenants.store import load_tree
from santral.tenants.tenant import TenantId
from santral.tenants.tree import TenantTree

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OPERATOR = local_operator()
SETTINGS: Mapping[str, Any] = {"labels": [{"name": "correct"}]}


async def make_queue(engine: Engine, name: str = "daily", **settings: Any) -> Queue:
    """Make the tenant ``acme`` where it is missing, and a queue of it."""
    async with reading(engine) as conn:
        tree = await load_tree(conn)
    if TenantId("acme") not in tree:
        await organise.create_tenant(engine, "acme", None, NOW, by=OPERATOR)
    return await create_queue(
        engine, "acme", name, {**SETTINGS, **settings}, NOW, by=OPERATOR, rng=Random(1).randbytes
    )


def rater(name: str, role: Role = "reviewer") -> Principal:
    """Return somebody with a role over ``acme``."""
    grants = (Grant(role, TenantId("acme")),)
    return Principal(f"user:{name}", "203.0.113.7", grants, TenantTree({TenantId("acme"): None}))


async def add_item(
    engine: Engine,
    number: int = 0,
    queue: str = "daily",
    *,
    kind: ItemKind = "trace",
    answers: tuple[str, ...] = ("Bring a card.",),
    gold: dict[str, float | str] | None = None,
    **fields: Any,
) -> Item:
    """Put an item into a queue of ``acme``."""
    shown = Shown(said=[Said("user", f"Question {number}?")], answers=list(answers))
    known: dict[str, Any] = {
        "trace_id": f"{number:032x}", "subject": "", "rule": "random", "probability": 1.0,
        "held_id": "", "state": "open", "outcome": None, "priority": 0, "created_by": "system",
        "created_at": NOW, "content": Content(shown=shown), **fields,
    }  # fmt: skip
    item = Item(
        id=f"item_{queue}_{number}", tenant_id="acme", queue=queue, kind=kind,
        key=f"{kind}:{number}", gold=gold, **known,
    )  # fmt: skip
    async with writing(engine) as conn:
        assert await store.insert_item(conn, "acme", item)
    return item


async def tasks(engine: Engine, item_id: str) -> list[Task]:
    async with reading(engine) as conn:
        return await store.tasks_of(conn, "acme", item_id)


async def item(engine: Engine, item_id: str) -> Item:
    async with reading(engine) as conn:
        found = await store.find_item(conn, "acme", item_id)
    assert found is not None
    return found
