"""Responses that are kept, so that a later request can go on from them.

Kept is what passed the checks: the conversation as it went to the model, without instructions and
without what the route put before it, and the answer as it went to the caller.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Collection, Iterable

import msgspec
from msgspec import Raw, Struct

from santral.config.schema import ResponsesConfig
from santral.errors import NotFound, SantralError, StoreError
from santral.gateway.context import RequestContext
from santral.gateway.dialects.responses.kept import kept_items
from santral.gateway.dialects.responses.request import ResponsesCall
from santral.gateway.objects import SWEEP_EVERY_S, Bounds, ObjectFolder
from santral.gateway.stages.payload import payload_policy
from santral.gateway.stages.trace import session_of, user_of
from santral.guardrails.redact import redacted_json
from santral.tenants.group import may_read
from santral.tenants.tenant import VirtualKey

log = logging.getLogger(__name__)

_RESPONSE_ID = re.compile(r"resp_([0-9a-f]{48})")
#: A longer conversation is packed beside the event loop. Measured: 2 MB take 3 ms.
LARGE_BYTES = 100_000
#: Ids of items end in their number; those of input items begin at this one.
INPUT_ITEMS = 0x8000
_ITEM_ID = re.compile(r"[a-z]+_([0-9a-f]{48})([0-9a-f]{4})")


class _Items(Struct, frozen=True):
    output: list[Raw]


class _Instructions(Struct, frozen=True):
    content: str


class Kept(Struct, frozen=True, kw_only=True):
    """One response as it is kept: the object, and everything that was said before it."""

    route: str
    response: Raw
    input: list[Raw]
    groups: list[str] = []  # of who was answered, where documents were part of it
    user: str = ""  # whose it is and in which session, to find it by for its person
    session: str = ""

    @property
    def conversation(self) -> list[Raw]:
        """All items so far: what a request that goes on from here begins with."""
        return [*self.input, *_items.decode(self.response).output]


_kept = msgspec.json.Decoder(Kept)
_items = msgspec.json.Decoder(_Items)
_instructions = msgspec.json.Decoder(_Instructions)
_encode = msgspec.json.Encoder().encode


class ResponseStore:
    """Keeps the responses of all tenants; each sees its own, through keys that may use the route."""

    def __init__(self, objects: ObjectFolder, settings: Callable[[], ResponsesConfig]) -> None:
        self._objects = objects
        self._settings = settings  # those in force now, for what belongs to no request

    async def run(self) -> None:
        """Forget what is over its time, every ``SWEEP_EVERY_S``, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            try:
                await self._objects.sweep(bounds_of(self._settings()))
            except StoreError as error:
                log.warning("responses_not_swept", extra={"reason": error.message})

    def new_id(self) -> str:
        """Return the id of a response, without its prefix."""
        return self._objects.new_id()

    def keeps(self, ctx: RequestContext, call: ResponsesCall) -> bool:
        """Whether the answer to ``call`` is to be kept: never where the tenant keeps no words."""
        if payload_policy(ctx) in ("hashes", "none"):
            return False
        asked = call.asked.store
        return _settings(ctx).store if asked is None else asked

    async def keep(self, ctx: RequestContext, call: ResponsesCall, response: bytes) -> bool:
        """Keep a response durably; says whether that could be done."""
        name, bounds = f"resp_{call.response_id}", bounds_of(_settings(ctx))
        try:
            if ctx.body_bytes > LARGE_BYTES:
                data = await asyncio.to_thread(_packed, ctx, call, response)
            else:
                data = _packed(ctx, call, response)
            await self._objects.put(ctx.caller.tenant.id, name, data, bounds)
        except SantralError as error:
            # The answer is made and paid for: it is better had without being kept than lost.
            fields = {"reason": error.message, "trace_id": ctx.trace_id}
            log.warning("response_not_kept", extra=fields)
            return False
        return True

    async def find(
        self,
        ctx: RequestContext,
        name: str,
        param: str | None = None,
        groups: Collection[str] | None = None,
    ) -> Kept:
        """Return a kept response of the caller, who sees the documents of ``groups``, or of the key's.

        Raises:
            NotFound: there is none, or it is not the caller's: the same answer to both.
        """
        tenant, found = ctx.caller.tenant.id, None
        if _RESPONSE_ID.fullmatch(name):
            keep_s = bounds_of(_settings(ctx)).keep_s
            found = await self._objects.get(tenant, name, keep_s)
        kept = _kept.decode(found) if found is not None else None
        if kept is None or not _may_have(ctx.caller.key, kept, groups):
            raise _no_response(name, param)
        return kept

    async def delete(self, ctx: RequestContext, name: str) -> None:
        """Forget a response of the caller; raises as ``find``."""
        await self.find(ctx, name)
        await self._objects.delete(ctx.caller.tenant.id, name)

    async def items(
        self, ctx: RequestContext, names: Iterable[str], groups: Collection[str] | None = None
    ) -> dict[str, tuple[Raw, Kept]]:
        """Return the kept items with these ids, each with the response that it is of.

        Raises:
            NotFound: one is not there; names it.
        """
        found: dict[str, tuple[Raw, Kept]] = {}
        for name in names:
            parts = _ITEM_ID.fullmatch(name)
            if parts is None:
                raise _no_item(name)
            try:
                kept = await self.find(ctx, f"resp_{parts.group(1)}", groups=groups)
            except NotFound:
                raise _no_item(name) from None
            found[name] = _item(kept, int(parts.group(2), 16), name), kept
        return found

    def instructions_of(self, ctx: RequestContext, call: ResponsesCall) -> str | None:
        """Return the instructions of a request as the checks left them."""
        if not call.asked.instructions or not ctx.said:
            return None
        return _instructions.decode(_encode(ctx.said[0])).content


def _packed(ctx: RequestContext, call: ResponsesCall, response: bytes) -> bytes:
    """Return what is kept of a request and its answer."""
    has_instructions = bool(call.asked.instructions)
    said = kept_items(ctx.said[has_instructions:], call.response_id, INPUT_ITEMS)
    kept = Kept(
        route=ctx.route.name,
        response=Raw(response),
        input=said,
        groups=sorted(call.seen_by.union(ctx.groups if ctx.sources else ())),
        user=user_of(ctx),
        session=session_of(ctx),
    )
    return _encode(_redacted(ctx, kept) if payload_policy(ctx) == "redacted" else kept)


def _may_have(key: VirtualKey, kept: Kept, groups: Collection[str] | None) -> bool:
    """Whether a response is for this key: its route, and the documents that are part of it."""
    if not key.may_use(kept.route):
        return False
    return may_read(key, kept.groups) if groups is None else set(kept.groups).issubset(groups)


def _redacted(ctx: RequestContext, kept: Kept) -> Kept:
    """Return what is kept with every known entity masked: a later request goes on from that."""

    def masked(value: Raw) -> Raw:
        return Raw(_encode(redacted_json(msgspec.json.decode(value), ctx.placeholders)))

    return msgspec.structs.replace(
        kept, response=masked(kept.response), input=[masked(item) for item in kept.input]
    )


def bounds_of(settings: ResponsesConfig) -> Bounds:
    return Bounds(
        keep_s=settings.keep_days * 86_400,
        count=settings.max_per_tenant,
        size_bytes=settings.max_bytes_per_tenant,
        object_bytes=settings.max_response_bytes,
    )


def _settings(ctx: RequestContext) -> ResponsesConfig:
    return ctx.snapshot.config.responses


def _no_response(name: str, param: str | None) -> NotFound:
    if param is None:
        return NotFound(f"Response with id '{name[:128]}' not found.")
    return NotFound(
        f"Previous response with id '{name[:128]}' not found. It may have been deleted, kept for too "
        "long, or made with 'store': false; send the whole conversation as 'input'.",
        code="previous_response_not_found",
        param=param,
    )


def _no_item(name: str) -> NotFound:
    return NotFound(f"Item with id '{name[:128]}' not found.", param="input")


def _item(kept: Kept, number: int, name: str) -> Raw:
    items = kept.input if number >= INPUT_ITEMS else _items.decode(kept.response).output
    position = number - INPUT_ITEMS if number >= INPUT_ITEMS else number
    if position >= len(items):
        raise _no_item(name)
    return items[position]
