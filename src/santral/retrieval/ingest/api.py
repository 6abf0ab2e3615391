"""``/api/collections/{name}/documents``: documents pushed, listed, changed and deleted."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from santral.db.engine import Engine
from santral.errors import BadRequest, TooLarge, TooSlow, UnsupportedMedia
from santral.jobs import queue
from santral.jobs.api import JobBody, job_body
from santral.jobs.job import Job
from santral.retrieval.document import StoredDocument
from santral.retrieval.ingest.documents import (
    MOST_LISTED,
    delete_documents,
    describe_document,
    list_documents,
    retry_documents,
    show_document,
)
from santral.retrieval.ingest.job import OpenPlace
from santral.retrieval.ingest.push import Pushed, push_documents
from santral.retrieval.ingest.shapes import (
    Accepted,
    BatchBody,
    ChangeBody,
    ChunkBody,
    Deleted,
    DocumentDetail,
    DocumentPage,
    PushedBody,
    Retried,
    RetryBody,
    document_body,
    document_fields,
    first_fault,
    name_of,
    pushed_of,
)
from santral.retrieval.ingest.start import start_ingest
from santral.retrieval.store import DocumentFilter
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import DEFAULT_TENANT, TenantId

#: Longest body of one call, and how long it may take to come, in seconds. Chosen: the longest document
#: that a collection takes by itself (max_file_bytes may say more), in base 64.
_MAX_BODY, _BODY_S = 96 * 1024 * 1024, 120.0
#: Longest wait for a job, in seconds, and pause between two looks. Chosen.
_MAX_WAIT_S, _LOOK_S = 60.0, 0.1

_Tenant = Annotated[str, Query(max_length=128, description="Whose collection.")]
_Name = Annotated[str, Path(max_length=128, description="The collection.")]
_Id = Annotated[str, Path(max_length=1000, description="Its id, or the key it was pushed under.")]
_Wait = Annotated[
    float, Query(ge=0, le=_MAX_WAIT_S, description="Seconds to wait until it can be searched.")
]


def documents_router(
    engine: Engine,
    open_place: OpenPlace,
    authorise: Authorise,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints; ``authorise`` makes the dependency that says who administers."""
    router = APIRouter(prefix="/api/collections/{name}", tags=["documents"])
    reader: Any = Depends(authorise("collections.read"))
    writer: Any = Depends(authorise("collections.write"))
    _add_reading(router, engine, reader)
    _add_pushing(router, engine, open_place, writer, clock)
    _add_changing(router, engine, writer, clock)
    _add_work(router, engine, writer, clock)
    return router


def _add_reading(router: APIRouter, engine: Engine, reader: Any) -> None:
    @router.get("/documents")
    async def list_(
        name: _Name,
        tenant_id: _Tenant = DEFAULT_TENANT,
        status: Literal["", "indexed", "quarantined"] = "",
        kind: Annotated[str, Query(max_length=16, description="markdown, pdf, …")] = "",
        source_id: Annotated[str, Query(max_length=64, description="What brought it.")] = "",
        source: Annotated[str, Query(max_length=1000, description="How its name begins.")] = "",
        after: Annotated[str, Query(max_length=4000, description="next of the page before.")] = "",
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 100,
        principal: Principal = reader,
    ) -> DocumentPage:
        """List the documents of a collection by source."""
        chosen = DocumentFilter(status=status, kind=kind, source_id=source_id, source=source)
        found = await list_documents(
            engine, tenant_id, name, chosen, by=principal, after=_place(after), limit=limit
        )
        following = _cursor(found[-1]) if len(found) == limit else None
        return DocumentPage(documents=[document_body(one) for one in found], next=following)

    @router.get("/documents/{id}")
    async def show(
        name: _Name, id: _Id, tenant_id: _Tenant = DEFAULT_TENANT, principal: Principal = reader
    ) -> DocumentDetail:
        """Show a document with its chunks and its text."""
        shown = await show_document(engine, tenant_id, name, id, by=principal)
        chunks = [
            ChunkBody(**{field: getattr(chunk, field) for field in ChunkBody.model_fields})
            for chunk in shown.chunks
        ]
        return DocumentDetail(**document_fields(shown.document), chunks=chunks, text=shown.text)

    del list_, show  # the router holds them


def _add_pushing(
    router: APIRouter,
    engine: Engine,
    open_place: OpenPlace,
    writer: Any,
    clock: Callable[[], datetime],
) -> None:
    @router.put("/documents/{id}", status_code=202)
    async def put(
        request: Request,
        response: Response,
        name: _Name,
        id: _Id,
        tenant_id: _Tenant = DEFAULT_TENANT,
        wait: _Wait = 0.0,
        principal: Principal = writer,
    ) -> Accepted:
        """Push a document under a key: JSON as in a batch, or the bytes of a file with their media
        type. The same again changes nothing; 200 where it can be searched."""
        principal.require("collections.write", TenantId(tenant_id))
        pushed = await _read_pushed(request, id)
        return await _pushed(response, tenant_id, name, [pushed], wait, principal)

    @router.post("/documents:batch", status_code=202)
    async def batch(
        body: BatchBody,
        response: Response,
        name: _Name,
        tenant_id: _Tenant = DEFAULT_TENANT,
        wait: _Wait = 0.0,
        principal: Principal = writer,
    ) -> Accepted:
        """Push several documents with one job."""
        pushed = [pushed_of(one.key, one) for one in body.documents]
        return await _pushed(response, tenant_id, name, pushed, wait, principal)

    async def _pushed(
        response: Response,
        tenant: str,
        name: str,
        pushed: list[Pushed],
        wait: float,
        by: Principal,
    ) -> Accepted:
        async with open_place() as place:
            made = await push_documents(place, tenant, name, pushed, clock(), by=by)
        if made.job is None:
            response.status_code = 200
            return Accepted(documents=[document_body(one) for one in made.documents], job=None)
        job = await _waited(engine, response, made.job, wait)
        return Accepted(documents=[document_body(one) for one in made.documents], job=job_body(job))

    del put, batch  # the router holds them


def _add_changing(
    router: APIRouter, engine: Engine, writer: Any, clock: Callable[[], datetime]
) -> None:
    @router.patch("/documents/{id}", status_code=202)
    async def change(
        body: ChangeBody,
        response: Response,
        name: _Name,
        id: _Id,
        tenant_id: _Tenant = DEFAULT_TENANT,
        wait: _Wait = 0.0,
        principal: Principal = writer,
    ) -> Accepted:
        """Change what is said of a document, who may see it for example; its source does not change
        it back."""
        document, job = await describe_document(
            engine, tenant_id, name, id, body.metadata, clock(), by=principal
        )
        job = await _waited(engine, response, job, wait)
        return Accepted(documents=[document_body(document)], job=job_body(job))

    @router.delete("/documents/{id}", status_code=202)
    async def delete(
        response: Response,
        name: _Name,
        id: _Id,
        tenant_id: _Tenant = DEFAULT_TENANT,
        wait: _Wait = 0.0,
        principal: Principal = writer,
    ) -> Deleted:
        """Delete a document; one that its source still has comes back with the next run."""
        job = await delete_documents(engine, tenant_id, name, [id], clock(), by=principal)
        return Deleted(job=job_body(await _waited(engine, response, job, wait)))

    del change, delete  # the router holds them


def _add_work(
    router: APIRouter, engine: Engine, writer: Any, clock: Callable[[], datetime]
) -> None:
    @router.post("/documents:retry", status_code=202)
    async def retry(
        body: RetryBody,
        name: _Name,
        tenant_id: _Tenant = DEFAULT_TENANT,
        principal: Principal = writer,
    ) -> Retried:
        """Read documents again, all quarantined ones where none is named."""
        found = await retry_documents(
            engine, tenant_id, name, body.documents, clock(), by=principal
        )
        return Retried(jobs=[job_body(job) for job in found])

    @router.post("/update", status_code=202)
    async def update(
        response: Response,
        name: _Name,
        tenant_id: _Tenant = DEFAULT_TENANT,
        wait: _Wait = 0.0,
        principal: Principal = writer,
    ) -> JobBody:
        """Bring every version of the index up to date with the documents."""
        job = await start_ingest(engine, tenant_id, name, clock(), by=principal)
        return job_body(await _waited(engine, response, job, wait))

    @router.post("/purge", status_code=202)
    async def purge(
        response: Response,
        name: _Name,
        tenant_id: _Tenant = DEFAULT_TENANT,
        wait: _Wait = 0.0,
        principal: Principal = writer,
    ) -> JobBody:
        """Write the index and the database anew, so that nothing deleted is left in a file."""
        job = await start_ingest(engine, tenant_id, name, clock(), by=principal, is_purge=True)
        return job_body(await _waited(engine, response, job, wait))

    del retry, update, purge  # the router holds them


async def _waited(engine: Engine, response: Response, job: Job, wait: float) -> Job:
    """Return a job when it is over, or as it is after some seconds; 200 where it is done."""
    end = asyncio.get_running_loop().time() + wait
    while wait and asyncio.get_running_loop().time() < end:
        job = await queue.get_job(engine, job.id)
        if job.is_over:
            response.status_code = 200
            break
        await asyncio.sleep(_LOOK_S)
    return job


async def _read_pushed(request: Request, key: str) -> Pushed:
    content = await _read_body(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        if not media_type:
            raise UnsupportedMedia(
                "Say what the bytes are in Content-Type, e.g. application/pdf.",
                param="content-type",
            )
        return Pushed(
            key=key, content=content, name=name_of(key, media_type), media_type=media_type
        )
    try:
        body = PushedBody.model_validate_json(content)
    except ValueError as error:
        raise BadRequest(first_fault(error), code="invalid_request") from None
    return pushed_of(key, body)


async def _read_body(request: Request) -> bytes:
    """Return a body within a size and a time."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_S):
            async for part in request.stream():
                size += len(part)
                if size > _MAX_BODY:
                    raise TooLarge(f"A document has at most {_MAX_BODY:,} bytes here.")
                parts.append(part)
    except TimeoutError:
        raise TooSlow(f"The document took longer than {_BODY_S:.0f} s to come.") from None
    return b"".join(parts)


def _cursor(document: StoredDocument) -> str:
    place = msgspec.json.encode((document.source, document.id))
    return base64.urlsafe_b64encode(place).decode()


def _place(cursor: str) -> tuple[str, str]:
    if not cursor:
        return "", ""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[str, str])
    except (msgspec.DecodeError, binascii.Error, ValueError):
        raise BadRequest("'after' is not the 'next' of a page.", param="after") from None
