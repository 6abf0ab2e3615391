"""Requests that change a partition's points, one function each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from santral.errors import StoreError
from santral.retrieval.analysis.language import Language
from santral.retrieval.index.qdrant.connection import Connection, Json
from santral.retrieval.index.qdrant.pointer import Pointer
from santral.retrieval.index.qdrant.points import (
    DENSE,
    INDEXES,
    IndexKind,
    collection_schema,
    dense_schema,
    index_schema,
)
from santral.retrieval.index.qdrant.where import alive, every, is_absent, of_documents

#: Points of one request. Chosen: some 3 MB, a tenth of what a server takes by default.
_TOGETHER = 100
_PAGE = 1_000
_LANGUAGES: tuple[Language, ...] = ("en", "other", "tr")


async def create(connection: Connection, name: str, pointer: Pointer) -> None:
    """Make the collection with its vectors and indexes; what is there already is left as it is."""
    await connection.create(name, collection_schema())
    for indexes in (INDEXES, pointer.attributes):
        for key, kind in indexes.items():
            await add_index(connection, name, key, kind)
    if pointer.dimensions > 0:
        await add_vector(connection, name, pointer.dimensions)


async def add_vector(connection: Connection, name: str, dimensions: int) -> None:
    """Add the dense vector; a writer that was killed may have added it."""
    try:
        await connection.change("PUT", name, f"/vectors/{DENSE}", dense_schema(dimensions))
    except StoreError as error:
        if "already exists" not in error.message or "different" in error.message:
            raise


async def add_index(connection: Connection, name: str, key: str, kind: IndexKind) -> None:
    """Index a field of the payload, so that filters on it are fast."""
    body = {"field_name": key, "field_schema": index_schema(kind)}
    await connection.change("PUT", name, "/index", body)


async def insert(connection: Connection, name: str, points: Iterable[Json]) -> None:
    """Insert points, some at a time."""
    left: Iterator[Json] = iter(points)
    while some := list(islice(left, _TOGETHER)):
        await connection.change("PUT", name, "/points", {"points": some})


async def remove(connection: Connection, name: str, ids: list[str], revision: int) -> None:
    """Take documents out with ``revision``: published points die, others are deleted."""
    new: Json = {"key": "born", "range": {"gte": revision}}
    await _delete(connection, name, of_documents(ids, dict(new)))
    old = of_documents(ids, is_absent("died"))
    await connection.change(
        "POST", name, "/points/payload", {"payload": {"died": revision}, "filter": old}
    )


async def forget(connection: Connection, name: str, revision: int) -> None:
    """Remove what was never published: points that came after ``revision``, and later deaths."""
    await _delete(connection, name, every({"key": "born", "range": {"gt": revision}}))
    later = every({"key": "died", "range": {"gt": revision}})
    body = {"keys": ["died"], "filter": later}
    await connection.change("POST", name, "/points/payload/delete", body)


async def sweep(connection: Connection, name: str, revision: int) -> None:
    """Delete points that had died by ``revision``."""
    await _delete(connection, name, every(_died_by(revision)))


async def has_died(connection: Connection, name: str, revision: int) -> bool:
    """Return whether there are points that had died by ``revision``."""
    return await connection.count(name, every(_died_by(revision))) > 0


async def held(connection: Connection, name: str, revision: int) -> Mapping[str, str]:
    """Return the fingerprints of the documents of a revision, by id."""
    where = _of_type("document", revision)
    found: dict[str, str] = {}
    offset: str | int | None = None
    while True:
        body: dict[str, Any] = {
            "filter": where,
            "limit": _PAGE,
            "with_payload": ["of.document", "fingerprint"],
        }
        if offset is not None:
            body["offset"] = offset
        points, offset = await connection.scroll(name, body, is_writing=True)
        for point in points:
            payload = point.payload or {}
            found[payload["of"]["document"]] = payload["fingerprint"]
        if offset is None:
            return found


async def totals(
    connection: Connection, name: str, revision: int
) -> tuple[int, int, tuple[Language, ...]]:
    """Return how many documents and chunks a revision has, and in which languages."""
    documents = _of_type("document", revision)
    languages: list[Language] = [
        language
        for language in _LANGUAGES
        if await connection.count(
            name, every(documents, {"key": "of.language", "match": {"value": language}})
        )
    ]
    return (
        await connection.count(name, documents),
        await connection.count(name, _of_type("chunk", revision)),
        tuple(languages),
    )


def _died_by(revision: int) -> dict[str, Any]:
    return {"key": "died", "range": {"lte": revision}}


def _of_type(kind: str, revision: int) -> dict[str, Any]:
    return every({"key": "type", "match": {"value": kind}}, *alive(revision))


async def _delete(connection: Connection, name: str, where: Json) -> None:
    await connection.change("POST", name, "/points/delete", {"filter": where})
