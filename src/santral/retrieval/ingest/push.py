"""Documents that an application pushes: read and stored at once, indexed by a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from santral.audit.note import note
from santral.db.engine import reading, writing
from santral.errors import BadRequest
from santral.jobs.job import Job
from santral.retrieval import store
from santral.retrieval.collection import Collection
from santral.retrieval.document import StoredDocument
from santral.retrieval.ingest.examine import Examined, Examiner, Retold, Same, Taken
from santral.retrieval.ingest.fields import parsed_fields
from santral.retrieval.ingest.job import IngestArguments
from santral.retrieval.ingest.keep import id_at, keep
from santral.retrieval.ingest.start import job_for
from santral.retrieval.ingest.workplace import Workplace, inspector_for
from santral.retrieval.sources.source import Item
from santral.retrieval.store import Known
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId

#: What brought such a document, and below what it lies.
PUSHED = "push"
#: Documents of one call, and letters of a key. Chosen: a call is one transaction.
MOST_AT_ONCE, LONGEST_KEY = 100, 1_000


class Pushed(Struct, frozen=True, kw_only=True):
    """A document as it was pushed: ``key`` is the application's own id of it.

    ``fields`` are metadata as ``fields.py`` has it; ``name`` ends as a file of its format does.
    """

    key: str
    content: bytes
    name: str
    media_type: str = ""
    fields: Mapping[str, Any] = {}


class Pushing(Struct, frozen=True):
    """What became of a call: its documents as they are stored, and the job that indexes them.

    ``job`` is None where nothing changed.
    """

    documents: tuple[StoredDocument, ...]
    job: Job | None


async def push_documents(
    place: Workplace,
    tenant: str,
    name: str,
    pushed: Sequence[Pushed],
    now: datetime,
    *,
    by: Principal,
) -> Pushing:
    """Put documents into a collection, each in place of the one with its key; the same again changes
    nothing. One that cannot be read is quarantined, the others go on.

    Raises:
        NotFound: no such tenant or collection.
        NotAllowed: no role that may write collections there.
        BadRequest: too many documents, a key twice, or metadata that means nothing.
    """
    by.require("collections.write", TenantId(tenant))
    _require_keys(pushed)
    scope = (tenant, name)
    async with reading(place.engine) as conn:
        collection = await place.versions.find(conn, tenant, name)
        known = [await store.find_by_location(conn, *scope, _location(one.key)) for one in pushed]
    examiner = Examiner(collection, PUSHED, place.workshop, inspector_for(place, collection))
    found = [
        await _examine(examiner, collection, one, before)
        for one, before in zip(pushed, known, strict=True)
    ]
    taken = [one for one in found if isinstance(one, Taken)]
    retold = [one for one in found if isinstance(one, Retold)]
    job: Job | None = None
    async with writing(place.engine) as conn:
        if taken or retold:
            await keep(conn, scope, examiner, taken, retold, now)
            arguments = IngestArguments(collection=name)
            job, _ = await job_for(conn, TenantId(tenant), arguments, now, by=by)
            for id in [_id_of(one) for one in (*taken, *retold)]:
                await note(
                    conn, by.actor, "documents.put", f"document:{id}",
                    tenant_id=tenant, after={"collection": name}, now=now,
                )  # fmt: skip
        ids = [_id_of(one) for one in found]
        stored = await store.find_documents(conn, *scope, ids)
    return Pushing(tuple(stored[id] for id in ids if id in stored), job)


async def _examine(
    examiner: Examiner, collection: Collection, pushed: Pushed, before: StoredDocument | None
) -> Examined:
    async def fetch() -> bytes:
        return pushed.content

    location = _location(pushed.key)
    item = Item(
        location=location,
        root=PUSHED,
        source=pushed.key,
        name=pushed.name,
        fetch=fetch,
        media_type=pushed.media_type,
        is_named=True,
    )
    fields = parsed_fields(pushed.fields, f"the metadata of '{pushed.key[:64]}'")
    known = None if before is None else known_of(before)
    id = known.id if known else id_at(collection.tenant_id, collection.name, location)
    return await examiner.examine(item, fields, known, id)


def known_of(document: StoredDocument) -> Known:
    """Return what an ingest has to know of a stored document."""
    return Known(**{name: getattr(document, name) for name in Known.__struct_fields__})


def _require_keys(pushed: Sequence[Pushed]) -> None:
    if not 1 <= len(pushed) <= MOST_AT_ONCE:
        raise BadRequest(f"Push 1 to {MOST_AT_ONCE} documents at once.", param="documents")
    keys = [one.key for one in pushed]
    if len(set(keys)) < len(keys):
        raise BadRequest("Two of the documents have the same key.", param="documents")
    for key in keys:
        if not key.strip() or len(key) > LONGEST_KEY or not key.isprintable():
            raise BadRequest(
                f"A key is a text of 1 to {LONGEST_KEY} printable characters.", param="key"
            )


def _location(key: str) -> str:
    return f"{PUSHED}:{key}"


def _id_of(examined: Examined) -> str:
    match examined:
        case Taken():
            return examined.document.id
        case Retold() | Same():
            return examined.known.id
        case _:
            return ""
