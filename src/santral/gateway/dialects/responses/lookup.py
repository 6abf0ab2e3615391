"""Kept responses over HTTP: show one, list what was said before it, forget it.

Source: https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw, Struct

from santral.errors import BadRequest, NotFound
from santral.gateway.context import RequestContext
from santral.gateway.dialects.responses.replay import replay
from santral.gateway.dialects.responses.state import ResponseStore
from santral.gateway.inbound import Inbound
from santral.gateway.respond import Responder

#: Items on a page where the request does not say, and at most. Source: the list's API reference.
DEFAULT_LIMIT, MAX_LIMIT = 20, 100

_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_encode = msgspec.json.Encoder().encode


class _Identified(Struct, frozen=True):
    id: str = ""


_identified = msgspec.json.Decoder(_Identified)


class Lookup:
    """The endpoints under ``/v1/responses/{id}``."""

    def __init__(self, store: ResponseStore) -> None:
        self._store = store

    async def retrieve(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Answer with the response object, or with its events."""
        after = _starting_after(inbound)
        kept = await self._store.find(ctx, inbound.parts["id"])
        if _query(inbound, "stream") == "true":
            await responder.send_body(replay(kept, after), _STREAM)
        else:
            await responder.send_json(bytes(kept.response))

    async def delete(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Forget the response, and everything that was said before it."""
        name = inbound.parts["id"]
        await self._store.delete(ctx, name)
        await responder.send_json(_encode({"id": name, "object": "response", "deleted": True}))

    async def cancel(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Refuse: what is kept is finished."""
        await self._store.find(ctx, inbound.parts["id"])
        raise BadRequest(
            "Only a response in the background can be cancelled, and this one is finished. To stop "
            "a stream, close its connection."
        )

    async def list_input(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Answer with the items that the response was made from, the newest first."""
        kept = await self._store.find(ctx, inbound.parts["id"])
        page, has_more = _page(kept.input, inbound)
        listed: dict[str, Any] = {
            "object": "list",
            "data": page,
            "first_id": _id_of(page[0]) if page else "",
            "last_id": _id_of(page[-1]) if page else "",
            "has_more": has_more,
        }
        await responder.send_json(_encode(listed))


def _starting_after(inbound: Inbound) -> int:
    text = _query(inbound, "starting_after")
    if not text:
        return -1
    if not (text.isdecimal() and len(text) < 10):
        raise BadRequest("'starting_after' must be the number of an event.", param="starting_after")
    return int(text)


def _page(items: list[Raw], inbound: Inbound) -> tuple[list[Raw], bool]:
    ordered = items if _order(inbound) == "asc" else items[::-1]
    after, start = _query(inbound, "after"), 0
    if after:
        position = next((at for at, item in enumerate(ordered) if _id_of(item) == after), None)
        if position is None:
            raise NotFound(f"Item with id '{after[:128]}' not found.", param="after")
        start = position + 1
    limit = _limit(inbound)
    return ordered[start : start + limit], len(ordered) > start + limit


def _order(inbound: Inbound) -> Literal["asc", "desc"]:
    order = _query(inbound, "order") or "desc"
    if order == "asc" or order == "desc":
        return order
    raise BadRequest(f"'order' is '{order[:64]}'; asc and desc are known.", param="order")


def _limit(inbound: Inbound) -> int:
    text = _query(inbound, "limit")
    limit = int(text) if text.isdecimal() and len(text) < 4 else 0
    if text and not 1 <= limit <= MAX_LIMIT:
        raise BadRequest(f"'limit' must be a number from 1 to {MAX_LIMIT}.", param="limit")
    return limit or DEFAULT_LIMIT


def _query(inbound: Inbound, name: str) -> str:
    return parse_qs(inbound.query.decode("latin-1")).get(name, [""])[-1]


def _id_of(item: Raw) -> str:
    return _identified.decode(item).id
