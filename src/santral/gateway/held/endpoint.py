"""``GET /v1/held/{id}``: what became of an answer that was held, and the answer once it is free."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from santral.config.feedback import HeldConfig
from santral.errors import NotFound, StoreError
from santral.gateway.context import Dialect, RequestContext
from santral.gateway.desk import find_route
from santral.gateway.held.answer import Held, status_of
from santral.gateway.held.cabinet import HeldCabinet, bounds_of
from santral.gateway.inbound import Inbound
from santral.gateway.objects import SWEEP_EVERY_S
from santral.gateway.respond import Responder
from santral.gateway.stages import Stages
from santral.gateway.state import Current
from santral.tenants.group import may_read
from santral.tenants.tenant import VirtualKey
from santral.wire.delta import Delta

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode


class HeldAnswers:
    """The endpoint, and the upkeep of what it shows."""

    def __init__(
        self,
        cabinet: HeldCabinet,
        stages: Stages,
        dialects: Mapping[str, Dialect],
        current: Current,
        wall: Callable[[], float],
    ) -> None:
        self._cabinet = cabinet
        self._stages = stages
        self._dialects = dialects
        self._current = current
        self._wall = wall

    async def run(self) -> None:
        """Forget what is over its time, every ``SWEEP_EVERY_S``, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            try:
                await self._cabinet.sweep(self._current.snapshot.config.held)
            except StoreError as error:
                log.warning("held_not_swept", extra={"reason": error.message})

    async def show(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Answer with status and, once it is released or replaced, the answer in its own dialect.

        Raises:
            NotFound: there is none, or it is not the caller's: the same answer to both.
        """
        name, settings = inbound.parts["id"], ctx.snapshot.config.held
        held = await self._cabinet.get(ctx.caller.tenant.id, name, bounds_of(settings).keep_s)
        if held is None or not _may_have(ctx.caller.key, held):
            raise NotFound(f"There is no held answer '{name[:128]}'.", param="id")
        decision = await self._cabinet.decision(held.tenant_id, held.id)
        status = status_of(held, decision, self._wall())
        said: dict[str, Any] = {
            "id": held.id,
            "object": "held_answer",
            "status": status,
            "trace_id": held.trace_id,
            "held_at": int(held.held_at),
            "expires_at": int(held.expires_at),
        }
        if status in ("released", "replaced"):
            replacement = decision.replacement if decision else None
            said["response"] = Raw(await self._response(ctx, held, replacement, settings))
        elif decision is not None and decision.reason:
            said["reason"] = decision.reason
        await responder.send_json(_encode(said), [(b"cache-control", b"no-store")])

    async def _response(
        self, ctx: RequestContext, held: Held, replacement: str | None, settings: HeldConfig
    ) -> bytes:
        """Return the answer as it would have been given; the same whenever it is asked for."""
        keep_s = bounds_of(settings).keep_s
        known = await self._cabinet.written(held.tenant_id, held.id, keep_s)
        if known is not None:
            return known
        body = await self._write(ctx, held, replacement)
        await self._cabinet.keep_written(held.tenant_id, held.id, body, settings)
        return body

    async def _write(self, ctx: RequestContext, held: Held, replacement: str | None) -> bytes:
        """Write an answer by the path of every answer, from the request as it was."""
        asked = held.asked
        inbound = Inbound(
            method="POST",
            path=asked.path,
            headers={},
            body=asked.body,
            query=asked.query,
            parts=asked.parts,
        )
        ctx.dialect = dialect = self._dialects[held.dialect]
        ctx.request_id, ctx.trace_id = held.request_id, held.trace_id
        ctx.call = await dialect.parse(inbound, ctx)
        find_route(ctx, held.route)
        ctx.sources = tuple(held.sources)
        ctx.said = list(ctx.call.messages)
        deltas: list[Delta] = []

        async def collect(delta: Delta) -> None:
            deltas.append(delta)

        citing = self._stages.cite(ctx, collect)
        await citing.emit(held.delta(replacement))
        await citing.end()
        return await dialect.writer(ctx).whole(deltas, held.usage)


def _may_have(key: VirtualKey, held: Held) -> bool:
    """Whether an answer is for this key: its route, and the documents that are part of it."""
    return key.may_use(held.route) and may_read(key, held.groups)
