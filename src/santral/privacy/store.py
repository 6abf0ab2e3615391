"""What the control database holds of a person, and of what tenants want kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import String, and_, cast, delete, func, insert, or_, select, tuple_, update

from santral.db.engine import Connection
from santral.db.store import bump_revision
from santral.db.tables import (
    alerts,
    chunks,
    dataset_revisions,
    dataset_versions,
    document_bodies,
    documents,
    eval_answers,
    eval_samples,
    ledger,
    limit_rules,
    review_items,
    review_tasks,
)
from santral.tenants.store import load_tree
from santral.tenants.tenant import EVERYWHERE, TenantId

# the ledger


async def count_ledger(conn: Connection, tenant_id: TenantId, user: str) -> int:
    """Return how many rows of a tenant's ledger name a user."""
    statement = (
        select(func.count())
        .select_from(ledger)
        .where(ledger.c.tenant_id == tenant_id)
        .where(ledger.c.user_id == user)
    )
    return (await conn.execute(statement)).scalar_one()


async def ledger_rows(conn: Connection, tenant_id: TenantId, user: str) -> list[dict[str, Any]]:
    """Return the rows of a user, the oldest first."""
    statement = (
        select(ledger)
        .where(ledger.c.tenant_id == tenant_id)
        .where(ledger.c.user_id == user)
        .order_by(ledger.c.occurred_s, ledger.c.request_id)
    )
    return [dict(row) for row in (await conn.execute(statement)).mappings()]


async def rename_in_ledger(conn: Connection, tenant_id: TenantId, user: str, pseudonym: str) -> int:
    """Give the rows of a user another name: it is the one column that may change."""
    statement = (
        update(ledger)
        .where(ledger.c.tenant_id == tenant_id)
        .where(ledger.c.user_id == user)
        .values(user_id=pseudonym)
    )
    return (await conn.execute(statement)).rowcount


async def count_tagged(conn: Connection, tenant_id: TenantId, words: tuple[str, ...]) -> int:
    """Return how many rows have one of ``words`` in a tag, which nothing can change any more."""
    tags = func.lower(cast(ledger.c.tags, String))
    stands = or_(*(tags.contains(word.lower(), autoescape=True) for word in words))
    statement = (
        select(func.count())
        .select_from(ledger)
        .where(ledger.c.tenant_id == tenant_id)
        .where(stands)
    )
    return (await conn.execute(statement)).scalar_one()


# limits


async def count_limits(conn: Connection, tenant_id: TenantId, user: str) -> dict[str, int]:
    """Return how many rules and alerts are about a user."""
    rules = (
        select(func.count())
        .select_from(limit_rules)
        .where(limit_rules.c.tenant_id == tenant_id)
        .where(limit_rules.c.scope_kind == "user")
        .where(limit_rules.c.scope_id == user)
    )
    said = (
        select(func.count())
        .select_from(alerts)
        .where(alerts.c.tenant_id == tenant_id)
        .where(alerts.c.scope_id == user)
    )
    return {
        "rules": (await conn.execute(rules)).scalar_one(),
        "alerts": (await conn.execute(said)).scalar_one(),
    }


async def user_rules(conn: Connection, tenant_id: TenantId) -> list[str]:
    """Return the ids of rules that may count users of a tenant: its own, those above it, and ``*``."""
    owners = [*(await load_tree(conn)).path(tenant_id), EVERYWHERE]
    statement = (
        select(limit_rules.c.id)
        .where(limit_rules.c.tenant_id.in_(owners))
        .where(limit_rules.c.scope_kind == "user")
    )
    return list((await conn.execute(statement)).scalars())


async def limit_rows(conn: Connection, tenant_id: TenantId, user: str) -> list[dict[str, Any]]:
    """Return the rules about a user."""
    statement = (
        select(limit_rules)
        .where(limit_rules.c.tenant_id == tenant_id)
        .where(limit_rules.c.scope_kind == "user")
        .where(limit_rules.c.scope_id == user)
    )
    return [dict(row) for row in (await conn.execute(statement)).mappings()]


async def delete_limits(conn: Connection, tenant_id: TenantId, user: str) -> None:
    """Delete the rules and alerts about a user; gateways follow."""
    await conn.execute(
        delete(limit_rules)
        .where(limit_rules.c.tenant_id == tenant_id)
        .where(limit_rules.c.scope_kind == "user")
        .where(limit_rules.c.scope_id == user)
    )
    await conn.execute(
        delete(alerts).where(alerts.c.tenant_id == tenant_id).where(alerts.c.scope_id == user)
    )
    await bump_revision(conn)


# documents


async def documents_with(
    conn: Connection, tenant_id: TenantId, texts: tuple[str, ...]
) -> list[tuple[str, str]]:
    """Return collection and source of every document in which one of ``texts`` stands."""
    stands = or_(*(func.lower(chunks.c.text).contains(t.lower(), autoescape=True) for t in texts))
    statement = (
        select(documents.c.collection, documents.c.source)
        .distinct()
        .join_from(
            documents,
            chunks,
            and_(
                chunks.c.document_id == documents.c.id, chunks.c.tenant_id == documents.c.tenant_id
            ),
        )
        .where(documents.c.tenant_id == tenant_id)
        .where(stands)
        .order_by(documents.c.collection, documents.c.source)
    )
    return [(row[0], row[1]) for row in await conn.execute(statement)]


async def bodies_without_chunks(
    conn: Connection, tenant_id: TenantId
) -> list[tuple[str, str, bytes]]:
    """Return collection, source and body of every document that is in no index: expired, hidden."""
    split = select(chunks.c.document_id).where(chunks.c.tenant_id == tenant_id)
    statement = (
        select(documents.c.collection, documents.c.source, document_bodies.c.body)
        .join_from(documents, document_bodies, document_bodies.c.document_id == documents.c.id)
        .where(documents.c.tenant_id == tenant_id, documents.c.id.not_in(split))
        .order_by(documents.c.collection, documents.c.source)
    )
    return [(row[0], row[1], row[2]) for row in await conn.execute(statement)]


# reviews


async def review_rows(
    conn: Connection, tenant_id: TenantId, subjects: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return the review items that hold somebody's words, the oldest first."""
    statement = (
        select(review_items)
        .where(review_items.c.tenant_id == tenant_id, review_items.c.subject.in_(subjects))
        .order_by(review_items.c.created_at, review_items.c.id)
    )
    return [dict(row) for row in (await conn.execute(statement)).mappings()]


async def delete_reviews(conn: Connection, tenant_id: TenantId, subjects: tuple[str, ...]) -> None:
    """Delete the review items that hold somebody's words, with what raters said of them."""
    own = select(review_items.c.id).where(
        review_items.c.tenant_id == tenant_id, review_items.c.subject.in_(subjects)
    )
    await conn.execute(
        delete(review_tasks).where(
            review_tasks.c.tenant_id == tenant_id, review_tasks.c.item_id.in_(own)
        )
    )
    await conn.execute(
        delete(review_items).where(
            review_items.c.tenant_id == tenant_id, review_items.c.subject.in_(subjects)
        )
    )


async def other_reviews(
    conn: Connection, tenant_id: TenantId, subjects: tuple[str, ...], after: str, limit: int
) -> list[tuple[str, dict[str, Any]]]:
    """Return id and content of review items of other people, by id after ``after``."""
    statement = (
        select(review_items.c.id, review_items.c.content)
        .where(review_items.c.tenant_id == tenant_id, review_items.c.id > after)
        .where(review_items.c.subject.not_in(subjects))
        .order_by(review_items.c.id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in await conn.execute(statement)]


async def replace_review(
    conn: Connection, tenant_id: TenantId, item_id: str, content: dict[str, Any]
) -> None:
    """Write other content into a review item."""
    await conn.execute(
        update(review_items)
        .where(review_items.c.tenant_id == tenant_id, review_items.c.id == item_id)
        .values(content=content)
    )


async def review_words(
    conn: Connection, tenant_id: TenantId, item_id: str
) -> list[tuple[int, str, dict[str, Any] | None]]:
    """Return slot, comment and labels of what raters said of an item."""
    statement = select(review_tasks.c.slot, review_tasks.c.comment, review_tasks.c.labels).where(
        review_tasks.c.tenant_id == tenant_id, review_tasks.c.item_id == item_id
    )
    return [(row[0], row[1], row[2]) for row in await conn.execute(statement)]


async def replace_review_words(
    conn: Connection,
    tenant_id: TenantId,
    item_id: str,
    slot: int,
    comment: str,
    labels: dict[str, Any] | None,
) -> None:
    """Write other words into what a rater said."""
    await conn.execute(
        update(review_tasks)
        .where(
            review_tasks.c.tenant_id == tenant_id,
            review_tasks.c.item_id == item_id,
            review_tasks.c.slot == slot,
        )
        .values(comment=comment, labels=labels)
    )


# data sets, and answers to their examples

#: Columns of JSON in which somebody's words can stand, and the key of their table's rows.
_WORDS = {
    "dataset_revisions": (
        dataset_revisions,
        ("dataset", "example_id", "revision"),
        ("content", "provenance"),
    ),
    "dataset_versions": (dataset_versions, ("dataset", "version"), ("card",)),
    "eval_samples": (eval_samples, ("run_id", "example_id", "repeat"), ("example", "sample")),
    "eval_answers": (eval_answers, ("key",), ("answer",)),
}
TABLES_WITH_WORDS = tuple(_WORDS)
#: Hashes of one statement: under the bound of SQLite's variables. Chosen.
_MOST_HASHES = 500


async def own_revisions(
    conn: Connection, tenant_id: TenantId, subjects: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return the revisions of examples that hold somebody's words, by example, the oldest first."""
    statement = (
        select(dataset_revisions)
        .where(
            dataset_revisions.c.tenant_id == tenant_id, dataset_revisions.c.subject.in_(subjects)
        )
        .order_by(
            dataset_revisions.c.dataset,
            dataset_revisions.c.example_id,
            dataset_revisions.c.revision,
        )
    )
    return [dict(row) for row in (await conn.execute(statement)).mappings()]


async def empty_revisions(
    conn: Connection, tenant_id: TenantId, subjects: tuple[str, ...], now: datetime
) -> None:
    """Take what somebody's examples held out of every revision, and say so in a last one.

    Content hashes stay: versions that held the examples keep their manifest.
    """
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in await own_revisions(conn, tenant_id, subjects):
        newest[row["dataset"], row["example_id"]] = row
    gone = {"content": None, "provenance": None, "subject": ""}
    for dataset, example_id in newest:
        statement = (
            update(dataset_revisions)
            .where(
                dataset_revisions.c.tenant_id == tenant_id,
                dataset_revisions.c.dataset == dataset,
                dataset_revisions.c.example_id == example_id,
            )
            .values(**gone)
        )
        await conn.execute(statement)
    last = [
        {
            **row, **gone, "revision": row["revision"] + 1, "kind": "erase",
            "created_by": "system", "created_at": now,
        }
        for row in newest.values()
        if row["kind"] != "erase"
    ]  # fmt: skip
    if last:
        await conn.execute(insert(dataset_revisions), last)


async def count_answers(conn: Connection, tenant_id: TenantId, hashes: Sequence[str]) -> int:
    """Return how many answers to examples of these contents are kept."""
    count = 0
    for some in _parts(hashes):
        for table in (eval_samples, eval_answers):
            statement = (
                select(func.count())
                .select_from(table)
                .where(table.c.tenant_id == tenant_id, table.c.example_hash.in_(some))
            )
            count += (await conn.execute(statement)).scalar_one()
    return count


async def delete_answers(conn: Connection, tenant_id: TenantId, hashes: Sequence[str]) -> None:
    """Delete the answers to examples of these contents, and what they were scored."""
    for some in _parts(hashes):
        for table in (eval_samples, eval_answers):
            await conn.execute(
                delete(table).where(table.c.tenant_id == tenant_id, table.c.example_hash.in_(some))
            )


async def words_page(
    conn: Connection, tenant_id: TenantId, name: str, after: tuple[Any, ...], limit: int
) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Return keys of a table's rows with their columns of JSON, in the order of keys after ``after``."""
    table, keys, columns = _WORDS[name]
    key = [table.c[one] for one in keys]
    statement = (
        select(*key, *(table.c[one] for one in columns))
        .where(table.c.tenant_id == tenant_id)
        .order_by(*key)
        .limit(limit)
    )
    if after:
        statement = statement.where(tuple_(*key) > tuple_(*after))
    rows = [tuple(row) for row in (await conn.execute(statement)).all()]
    size = len(keys)
    return [(row[:size], dict(zip(columns, row[size:], strict=True))) for row in rows]


async def replace_words(
    conn: Connection,
    tenant_id: TenantId,
    name: str,
    key: tuple[Any, ...],
    changed: Mapping[str, Any],
) -> None:
    """Write other JSON into a row of such a table."""
    table, keys, _ = _WORDS[name]
    statement = update(table).where(table.c.tenant_id == tenant_id).values(**changed)
    for one, value in zip(keys, key, strict=True):
        statement = statement.where(table.c[one] == value)
    await conn.execute(statement)


def _parts(hashes: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(hashes), _MOST_HASHES):
        yield hashes[start : start + _MOST_HASHES]
