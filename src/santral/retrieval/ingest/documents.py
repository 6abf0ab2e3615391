"""The documents of a collection: listed, shown, described otherwise, deleted, tried again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from santral.audit.note import note
from santral.db.engine import Connection, Engine, reading, writing
from santral.errors import BadRequest, NotFound
from santral.jobs.job import Job
from santral.retrieval import store
from santral.retrieval.document import StoredChunk, StoredDocument
from santral.retrieval.ingest import store as ingest_store
from santral.retrieval.ingest.examine import fingerprint_of
from santral.retrieval.ingest.fields import as_json, parsed_fields, with_fields
from santral.retrieval.ingest.job import IngestArguments
from santral.retrieval.ingest.push import PUSHED
from santral.retrieval.ingest.start import job_for
from santral.retrieval.splitting import store as split_store
from santral.retrieval.store import DocumentFilter
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Action, Principal
from santral.tenants.tenant import TenantId

#: Documents of one page, and tried again with one command. Chosen.
MOST_LISTED, MOST_RETRIED = 500, 10_000


class DocumentShown(Struct, frozen=True):
    """A document with the chunks that the searched version made of it."""

    document: StoredDocument
    chunks: tuple[StoredChunk, ...]

    @property
    def text(self) -> str:
        """Its text, to which the places of chunks refer."""
        text = ""
        for chunk in self.chunks:
            own = chunk.text[len(chunk.text) - (chunk.end - chunk.start) :]
            if chunk.start > len(text):
                text += chunk.separator
            text = text[: chunk.start] + own
        return text


async def list_documents(
    engine: Engine,
    tenant: str,
    collection: str,
    chosen: DocumentFilter,
    *,
    by: Principal,
    after: tuple[str, str] = ("", ""),
    limit: int = 100,
) -> list[StoredDocument]:
    """Return a page of a collection's documents by source, behind the (source, id) ``after``.

    Raises:
        NotFound: no such tenant or collection.
        NotAllowed: no role that may read collections there.
    """
    async with reading(engine) as conn:
        scope = await _scope(conn, tenant, collection, "collections.read", by)
        return await store.list_documents(
            conn, *scope, chosen, after=after, limit=min(limit, MOST_LISTED)
        )


async def show_document(
    engine: Engine, tenant: str, collection: str, id: str, *, by: Principal
) -> DocumentShown:
    """Return one document, by its id or by the key under which it was pushed; raises as above."""
    async with reading(engine) as conn:
        scope = await _scope(conn, tenant, collection, "collections.read", by)
        document = await _known(conn, scope, id)
        version = await ingest_store.read_active_version(conn, *scope)
        chunks = await split_store.list_chunks(conn, *scope, version, [document.id])
    return DocumentShown(document, tuple(chunks[document.id]))


async def describe_document(
    engine: Engine,
    tenant: str,
    collection: str,
    id: str,
    fields: Mapping[str, Any],
    now: datetime,
    *,
    by: Principal,
) -> tuple[StoredDocument, Job]:
    """Change what is said of a document, also against its source, which does not change it back.

    Returns it with the job that brings the index up to date.

    Raises:
        NotFound: no such tenant, collection or document.
        NotAllowed: no role that may write collections there.
        BadRequest: an unknown field, or a value that means nothing.
    """
    edits = parsed_fields(fields, "the change")
    if not edits:
        raise BadRequest("Say what to change, e.g. allowed_groups.", param="metadata")
    async with writing(engine) as conn:
        scope = await _scope(conn, tenant, collection, "collections.write", by)
        before = await _known(conn, scope, id)
        told = replace(
            before,
            title=edits.get("title") or before.title,
            metadata=with_fields(before.metadata, edits),
            edits=before.edits | as_json(edits),
        )
        told = replace(told, fingerprint=fingerprint_of(told))
        await store.describe_documents(conn, *scope, [told], now)
        job = await _follow(conn, scope, now, by)
        await note(
            conn, by.actor, "documents.change", f"document:{before.id}",
            tenant_id=tenant,
            before={"allowed_groups": list(before.metadata.allowed_groups)},
            after={"collection": collection, "fields": sorted(edits),
                   "allowed_groups": list(told.metadata.allowed_groups)},
            now=now,
        )  # fmt: skip
    return told, job


async def delete_documents(
    engine: Engine,
    tenant: str,
    collection: str,
    ids: Sequence[str],
    now: datetime,
    *,
    by: Principal,
) -> Job:
    """Delete documents; what a source still has comes back with its next run.

    Returns the job that takes them out of the index. Raises as ``describe_document``.
    """
    async with writing(engine) as conn:
        scope = await _scope(conn, tenant, collection, "collections.write", by)
        documents = [await _known(conn, scope, id) for id in ids]
        await store.delete_documents(conn, *scope, [document.id for document in documents])
        for document in documents:
            await note(
                conn, by.actor, "documents.delete", f"document:{document.id}",
                tenant_id=tenant, before={"collection": collection}, now=now,
            )  # fmt: skip
        return await _follow(conn, scope, now, by)


async def retry_documents(
    engine: Engine,
    tenant: str,
    collection: str,
    ids: Sequence[str],
    now: datetime,
    *,
    by: Principal,
) -> list[Job]:
    """Let documents be read again, quarantined ones where none is named; return the jobs that do it.

    Raises:
        BadRequest: one was pushed: its application has to push it again.
        NotFound: no such tenant, collection or document.
        NotAllowed: no role that may write collections there, or none that may read this machine's files.
    """
    async with writing(engine) as conn:
        scope = await _scope(conn, tenant, collection, "collections.write", by)
        documents = await _to_retry(conn, scope, ids)
        again = [
            {"id": document.id, "stamp": "", "intake": "", "content_hash": ""}
            for document in documents
        ]
        await store.change_documents(conn, *scope, again, now)
        await note(
            conn, by.actor, "documents.retry", f"collection:{collection}",
            tenant_id=tenant, after={"documents": len(documents)}, now=now,
        )  # fmt: skip
        paths = tuple(sorted({one.root for one in documents if not one.source_id}))
        if paths:
            by.require("collections.write", TenantId("*"))
        sources = sorted({one.source_id for one in documents if one.source_id})
        wanted = [IngestArguments(collection=collection, source_id=one) for one in sources]
        if paths:
            wanted.append(IngestArguments(collection=collection, paths=paths))
        return [
            (await job_for(conn, TenantId(tenant), arguments, now, by=by))[0]
            for arguments in wanted
        ]


async def _to_retry(
    conn: Connection, scope: tuple[str, str], ids: Sequence[str]
) -> list[StoredDocument]:
    if ids:
        documents = [await _known(conn, scope, id) for id in ids]
        for document in documents:
            if document.source_id == PUSHED:
                raise BadRequest(
                    f"'{document.source}' was pushed: its application has to push it again.",
                    code="pushed_document",
                )
        return documents
    quarantined = DocumentFilter(status="quarantined")
    found = await store.list_documents(conn, *scope, quarantined, limit=MOST_RETRIED)
    return [document for document in found if document.source_id != PUSHED]


async def _follow(conn: Connection, scope: tuple[str, str], now: datetime, by: Principal) -> Job:
    """Note that the index is behind, and return the job that brings it up to date."""
    tenant, collection = scope
    await ingest_store.bump_collection(conn, *scope, now)
    arguments = IngestArguments(collection=collection)
    return (await job_for(conn, TenantId(tenant), arguments, now, by=by))[0]


async def _scope(
    conn: Connection, tenant: str, collection: str, action: Action, by: Principal
) -> tuple[str, str]:
    """Return where documents are; raises NotFound, NotAllowed."""
    by.require(action, TenantId(tenant))
    owner = await known_tenant(conn, tenant)
    if await ingest_store.find_revision(conn, owner.id, collection) is None:
        raise NotFound(
            f"There is no collection '{collection[:64]}'. List them with: santral collections list",
            code="collection_not_found",
            param="collection",
        )
    return owner.id, collection


async def _known(conn: Connection, scope: tuple[str, str], id: str) -> StoredDocument:
    found = (await store.find_documents(conn, *scope, [id])).get(id)
    found = found or await store.find_by_location(conn, *scope, f"{PUSHED}:{id}")
    if found is None:
        raise NotFound(
            f"There is no document '{id[:64]}' in '{scope[1]}'. List them with: "
            f"santral documents list {scope[1]}",
            code="document_not_found",
            param="id",
        )
    return found
