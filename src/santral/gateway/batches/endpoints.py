"""``/v1/files`` and ``/v1/batches``: what a tenant does with its own, and with nobody else's.

Source: https://platform.openai.com/docs/api-reference/files and .../batch
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

import msgspec

from santral.errors import BadRequest, NotAllowed, NotFound, TooLarge
from santral.gateway.batches.batch import Batch, StoredFile, read_create
from santral.gateway.batches.cabinet import Cabinet
from santral.gateway.batches.upload import read_upload
from santral.gateway.context import RequestContext
from santral.gateway.inbound import Inbound
from santral.gateway.respond import Responder
from santral.gateway.stages.payload import payload_policy
from santral.tenants.group import may_read
from santral.tenants.tenant import VirtualKey

#: Entries of a page, and the most. Source: OpenAI's reference.
PAGE, MAX_FILES, MAX_BATCHES = 20, 10_000, 100
_DAY_S = 86_400


class Files:
    """Handlers of ``/v1/files``."""

    def __init__(self, cabinet: Cabinet, wall: Callable[[], float]) -> None:
        self._cabinet = cabinet
        self._wall = wall

    async def upload(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Keep a file."""
        _refuse_unkept(ctx)
        found = await asyncio.to_thread(read_upload, inbound.header(b"content-type"), inbound.body)
        tenant = ctx.caller.tenant.id
        settings = ctx.snapshot.config.batches
        kept = await asyncio.to_thread(self._cabinet.files, tenant)
        size = sum(file.bytes for file in kept) + len(found.data)
        if size > settings.max_tenant_bytes:
            raise TooLarge(
                f"With this file the tenant's files would take {size} bytes; "
                f"{settings.max_tenant_bytes} are allowed (batches.max_tenant_bytes). Delete some.",
                code="storage_full",
            )
        file = StoredFile(
            id=f"file-{os.urandom(16).hex()}",
            filename=found.filename,
            purpose=found.purpose,
            bytes=len(found.data),
            created_at=int(self._wall()),
        )
        await asyncio.to_thread(self._cabinet.put_file, tenant, file, found.data)
        await _answer(responder, file.wire())

    async def list(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """List the tenant's files, the latest first."""
        query = parse_qs(inbound.query.decode("latin-1"))
        files = await asyncio.to_thread(self._cabinet.files, ctx.caller.tenant.id)
        purpose = query.get("purpose", [""])[0]
        entries = [file.wire() for file in files if purpose in ("", file.purpose)]
        if query.get("order", ["desc"])[0] == "asc":
            entries.reverse()
        await _answer(responder, _page(entries, query, MAX_FILES, MAX_FILES))

    async def retrieve(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Describe one file."""
        file = await asyncio.to_thread(
            self._cabinet.file, ctx.caller.tenant.id, inbound.parts["id"]
        )
        await _answer(responder, file.wire())

    async def content(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Send one file's bytes."""
        tenant, name = ctx.caller.tenant.id, inbound.parts["id"]
        file = await asyncio.to_thread(self._cabinet.file, tenant, name)
        if not _may_read(ctx.caller.key, file):
            raise NotFound(f"There is no file '{name[:128]}'.", param="id")
        data = await asyncio.to_thread(self._cabinet.content, tenant, name)
        await responder.send_body(data, [(b"content-type", b"application/octet-stream")])

    async def delete(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Forget one file; a batch that still needs it keeps it."""
        tenant, name = ctx.caller.tenant.id, inbound.parts["id"]
        batches = await asyncio.to_thread(self._cabinet.batches, tenant)
        if any(batch.input_file_id == name and not batch.is_over for batch in batches):
            raise BadRequest(
                f"A batch still reads '{name}'. Cancel it first, or wait for its end.",
                code="file_in_use",
                param="id",
            )
        await asyncio.to_thread(self._cabinet.delete_file, tenant, name)
        await _answer(responder, {"id": name, "object": "file", "deleted": True})


def _may_read(key: VirtualKey, file: StoredFile) -> bool:
    if file.is_of_named_groups and not key.names_groups:
        return False
    return may_read(key, file.groups)


class Batches:
    """Handlers of ``/v1/batches``."""

    def __init__(
        self, cabinet: Cabinet, wall: Callable[[], float], wake: Callable[[], None]
    ) -> None:
        self._cabinet = cabinet
        self._wall = wall
        self._wake = wake

    async def create(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Begin a batch over an uploaded file."""
        _refuse_unkept(ctx)
        wish = read_create(inbound.body)
        tenant, now = ctx.caller.tenant.id, int(self._wall())
        await asyncio.to_thread(self._cabinet.file, tenant, wish.input_file_id)  # NotFound
        batch = Batch(
            id=f"batch-{os.urandom(16).hex()}",
            tenant_id=tenant,
            key_id=ctx.caller.key.id,
            groups=sorted(ctx.caller.key.held_groups),
            is_of_named_groups=ctx.caller.key.names_groups,
            endpoint=wish.endpoint,
            input_file_id=wish.input_file_id,
            completion_window=wish.completion_window,
            created_at=now,
            expires_at=now + _DAY_S,
            metadata=wish.metadata or {},
        )
        await asyncio.to_thread(self._cabinet.put_batch, batch)
        self._wake()
        await _answer(responder, batch.wire())

    async def retrieve(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Describe one batch."""
        batch = await self._find(ctx, inbound)
        await _answer(responder, batch.wire())

    async def list(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """List the tenant's batches, the latest first."""
        query = parse_qs(inbound.query.decode("latin-1"))
        batches = await asyncio.to_thread(self._cabinet.batches, ctx.caller.tenant.id)
        entries = [batch.wire() for batch in batches]
        await _answer(responder, _page(entries, query, PAGE, MAX_BATCHES))

    async def cancel(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """End a batch early; what is done stays and is in its files."""
        batch = await self._find(ctx, inbound)
        if batch.is_over:
            raise BadRequest(f"The batch is {batch.status} already.", code="batch_over", param="id")
        await asyncio.to_thread(self._cabinet.cancel, batch)
        self._wake()
        await _answer(responder, batch.moved("cancelling", int(self._wall())).wire())

    async def _find(self, ctx: RequestContext, inbound: Inbound) -> Batch:
        tenant, name = ctx.caller.tenant.id, inbound.parts["id"]
        return await asyncio.to_thread(self._cabinet.batch_now, tenant, name)


def _refuse_unkept(ctx: RequestContext) -> None:
    """Refuse a tenant whose words are not kept as they are: a file of a batch is nothing but words."""
    policy = payload_policy(ctx)
    if policy != "full":
        raise NotAllowed(
            f"What this tenant's requests say is kept as '{policy}', and a batch has to be kept as it "
            "is until it is answered. Send the requests one by one, or ask an administrator for "
            "payloads 'full'.",
            code="payloads_not_kept",
        )


def _page(
    entries: list[dict[str, Any]], query: Mapping[str, Sequence[str]], page: int, most: int
) -> dict[str, Any]:
    """Return one page of a list, in OpenAI's shape."""
    try:
        limit = int(query.get("limit", [str(page)])[0])
    except ValueError:
        limit = 0
    if not 1 <= limit <= most:
        raise BadRequest(f"limit is from 1 to {most}.", code="invalid_request", param="limit")
    after = query.get("after", [""])[0]
    if after:
        ids = [entry["id"] for entry in entries]
        if after not in ids:
            raise BadRequest(
                f"'{after[:128]}' is not in the list.", code="invalid_request", param="after"
            )
        entries = entries[ids.index(after) + 1 :]
    shown = entries[:limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(entries) > limit,
    }


async def _answer(responder: Responder, body: dict[str, Any]) -> None:
    await responder.send_json(msgspec.json.encode(body))
