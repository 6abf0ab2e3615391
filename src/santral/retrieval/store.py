"""SQL of documents and their bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import (
    Row,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.parts import parts
from santral.db.tables import (
    chunks,
    document_bodies,
    documents,
    version_documents,
)
from santral.retrieval.analysis.language import Language
from santral.retrieval.document import Metadata, StoredDocument

_DOCUMENT = [documents.c[name] for name in StoredDocument.__struct_fields__]
#: What can change of a document whose text stays.
_SAID = (
    "id", "location", "root", "source", "source_id", "title", "fingerprint", "metadata", "expires_at",
    "stamp", "intake", "edits",
)  # fmt: skip
_METADATA = StoredDocument.__struct_fields__.index("metadata")


class Known(Struct, frozen=True):
    """What an ingest has to know of a document to see whether it changed."""

    id: str
    location: str
    root: str
    source: str
    source_id: str
    content_hash: str
    stamp: str
    intake: str
    status: str
    reason: str
    edits: dict[str, Any]


class Listed(Struct, frozen=True):
    """What says whether an index should hold a document, and in which state."""

    id: str
    fingerprint: str
    text_hash: str
    title: str
    status: str
    duplicate_of: str
    expires_at: datetime | None


class Sketched(Struct, frozen=True):
    """A document's sketch, and what it was found to repeat."""

    id: str
    created_at: datetime
    duplicate_of: str
    sketch: bytes


_KNOWN = [documents.c[name] for name in Known.__struct_fields__]
_LISTED = [documents.c[name] for name in Listed.__struct_fields__]
_SKETCHED = [documents.c[name] for name in Sketched.__struct_fields__]


async def list_known(conn: Connection, tenant_id: str, collection: str) -> list[Known]:
    """Return what is known of every document of a collection."""
    statement = select(*_KNOWN).where(
        documents.c.tenant_id == tenant_id, documents.c.collection == collection
    )
    return [_known(row) for row in await conn.execute(statement)]


async def list_states(conn: Connection, tenant_id: str, collection: str) -> list[Listed]:
    """Return the state of every document of a collection, by id."""
    statement = (
        select(*_LISTED)
        .where(documents.c.tenant_id == tenant_id, documents.c.collection == collection)
        .order_by(documents.c.id)
    )
    return [Listed(*row) for row in await conn.execute(statement)]


async def list_sketches(conn: Connection, tenant_id: str, collection: str) -> list[Sketched]:
    """Return the sketches of the documents that can be searched, the oldest first."""
    statement = (
        select(*_SKETCHED)
        .where(
            documents.c.tenant_id == tenant_id,
            documents.c.collection == collection,
            documents.c.status == "indexed",
            documents.c.sketch.is_not(None),
        )
        .order_by(documents.c.created_at, documents.c.id)
    )
    return [Sketched(*row) for row in await conn.execute(statement)]


async def find_documents(
    conn: Connection, tenant_id: str, collection: str, ids: Sequence[str]
) -> dict[str, StoredDocument]:
    """Return some documents by id; those that are not there are left out."""
    found: dict[str, StoredDocument] = {}
    for part in parts(ids):
        statement = select(*_DOCUMENT).where(
            documents.c.tenant_id == tenant_id,
            documents.c.collection == collection,
            documents.c.id.in_(part),
        )
        found.update((row.id, _document(row)) for row in await conn.execute(statement))
    return found


async def find_by_location(
    conn: Connection, tenant_id: str, collection: str, location: str
) -> StoredDocument | None:
    """Return the document at a location, or None."""
    statement = select(*_DOCUMENT).where(
        documents.c.tenant_id == tenant_id,
        documents.c.collection == collection,
        documents.c.location == location,
    )
    row = (await conn.execute(statement.limit(1))).one_or_none()
    return None if row is None else _document(row)


class DocumentFilter(Struct, frozen=True, kw_only=True):
    """Which documents to list; empty: all of them."""

    status: str = ""
    kind: str = ""
    source_id: str = ""
    source: str = ""  # the beginning of the name that people see

    @property
    def exact(self) -> dict[str, str]:
        """What has to be equal, by column."""
        return {"status": self.status, "kind": self.kind, "source_id": self.source_id}


async def list_documents(
    conn: Connection,
    tenant_id: str,
    collection: str,
    chosen: DocumentFilter = DocumentFilter(),  # noqa: B008 - frozen
    *,
    after: tuple[str, str] = ("", ""),
    limit: int | None = None,
) -> list[StoredDocument]:
    """Return documents by source and id, from behind the (source, id) ``after`` on."""
    source, last = after
    wanted = [documents.c[name] == value for name, value in chosen.exact.items() if value]
    if chosen.source:
        wanted.append(documents.c.source.startswith(chosen.source, autoescape=True))
    statement = (
        select(*_DOCUMENT)
        .where(
            *wanted,
            documents.c.tenant_id == tenant_id,
            documents.c.collection == collection,
            or_(
                documents.c.source > source,
                and_(documents.c.source == source, documents.c.id > last),
            ),
        )
        .order_by(documents.c.source, documents.c.id)
        .limit(limit)
    )
    return [_document(row) for row in await conn.execute(statement)]


async def count_languages(conn: Connection, tenant_id: str, collection: str) -> dict[Language, int]:
    """Return how many documents that can be searched are in which language."""
    statement = (
        select(documents.c.language, func.count().label("number"))
        .where(
            documents.c.tenant_id == tenant_id,
            documents.c.collection == collection,
            documents.c.status == "indexed",
        )
        .group_by(documents.c.language)
    )
    return {row.language: row.number for row in await conn.execute(statement)}


async def next_expiry(
    conn: Connection, tenant_id: str, collection: str, now: datetime
) -> datetime | None:
    """Return when the next document expires, or None."""
    statement = select(func.min(documents.c.expires_at)).where(
        documents.c.tenant_id == tenant_id,
        documents.c.collection == collection,
        documents.c.expires_at > now,
    )
    return (await conn.execute(statement)).scalar_one_or_none()


async def put_documents(
    conn: Connection,
    tenant_id: str,
    collection: str,
    found: Sequence[tuple[StoredDocument, bytes | None]],
    now: datetime,
) -> None:
    """Keep documents with their sketches, in place of those with their ids."""
    if not found:
        return
    scope = {"tenant_id": tenant_id, "collection": collection, "created_at": now}
    rows = [
        _row(document) | scope | {"sketch": sketch, "updated_at": now} for document, sketch in found
    ]
    statement = upsert(conn, documents)
    kept = ("id", "tenant_id", "collection", "created_at")
    changed = {name: statement.excluded[name] for name in rows[0] if name not in kept}
    await conn.execute(
        statement.on_conflict_do_update(index_elements=[documents.c.id], set_=changed), rows
    )


async def describe_documents(
    conn: Connection,
    tenant_id: str,
    collection: str,
    found: Sequence[StoredDocument],
    now: datetime,
) -> None:
    """Write down what is said of known documents; what was read of them stays."""
    rows = [_row(document) for document in found]
    changes = [{name: row[name] for name in _SAID} for row in rows]
    await change_documents(conn, tenant_id, collection, changes, now)


async def put_bodies(conn: Connection, tenant_id: str, bodies: Mapping[str, bytes]) -> None:
    """Keep what was read of documents, by id, in place of what was there."""
    if not bodies:
        return
    rows = [
        {"document_id": id, "tenant_id": tenant_id, "body": body} for id, body in bodies.items()
    ]
    statement = upsert(conn, document_bodies)
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=[document_bodies.c.document_id], set_={"body": statement.excluded.body}
        ),
        rows,
    )


async def delete_bodies(conn: Connection, tenant_id: str, ids: Sequence[str]) -> None:
    """Forget what was read of some documents."""
    for part in parts(ids):
        await conn.execute(
            delete(document_bodies).where(
                document_bodies.c.tenant_id == tenant_id, document_bodies.c.document_id.in_(part)
            )
        )


async def find_bodies(conn: Connection, tenant_id: str, ids: Sequence[str]) -> dict[str, bytes]:
    """Return what was read of some documents, by id."""
    found: dict[str, bytes] = {}
    for part in parts(ids):
        statement = select(document_bodies.c.document_id, document_bodies.c.body).where(
            document_bodies.c.tenant_id == tenant_id, document_bodies.c.document_id.in_(part)
        )
        found.update((row.document_id, row.body) for row in await conn.execute(statement))
    return found


async def change_documents(
    conn: Connection,
    tenant_id: str,
    collection: str,
    changes: Sequence[Mapping[str, Any]],
    now: datetime,
) -> None:
    """Write other values into some documents' columns; every change names the same, and ``id``."""
    if not changes:
        return
    names = [name for name in changes[0] if name != "id"]
    values: dict[str, Any] = {name: bindparam(f"to_{name}") for name in names}
    statement = (
        update(documents)
        .where(
            documents.c.tenant_id == tenant_id,
            documents.c.collection == collection,
            documents.c.id == bindparam("of_id"),
        )
        .values(**values, updated_at=now)
    )
    rows = [{f"to_{name}": row[name] for name in names} | {"of_id": row["id"]} for row in changes]
    await conn.execute(statement, rows)


async def delete_documents(
    conn: Connection, tenant_id: str, collection: str, ids: Sequence[str]
) -> int:
    """Remove documents with their bodies and chunks; return how many there were."""
    number = 0
    for part in parts(ids):
        for table in (chunks, version_documents, document_bodies):
            await conn.execute(
                delete(table).where(table.c.tenant_id == tenant_id, table.c.document_id.in_(part))
            )
        statement = delete(documents).where(
            documents.c.tenant_id == tenant_id,
            documents.c.collection == collection,
            documents.c.id.in_(part),
        )
        number += (await conn.execute(statement)).rowcount
    return number


def _row(document: StoredDocument) -> dict[str, Any]:
    row = {name: getattr(document, name) for name in StoredDocument.__struct_fields__}
    row["metadata"] = msgspec.to_builtins(document.metadata)
    row["edits"] = document.edits or None
    row["expires_at"] = document.metadata.expires_at
    return row


def _document(row: Row[Any]) -> StoredDocument:
    known = dict(zip(StoredDocument.__struct_fields__, row, strict=True))
    known["metadata"] = msgspec.convert(row[_METADATA] or {}, Metadata)
    known["edits"] = known["edits"] or {}
    return StoredDocument(**known)


def _known(row: Row[Any]) -> Known:
    values: list[Any] = list(row)
    values[-1] = values[-1] or {}
    return Known(*values)
