"""OpenAI's Responses: requests read into the internal form, answers written, both with kept state.

Source: https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec import Raw, Struct

from santral.errors import SantralError
from santral.gateway.citations.citation import Citation
from santral.gateway.context import RequestContext
from santral.gateway.dialects.responses.cited import annotation
from santral.gateway.dialects.responses.request import (
    ResponsesCall,
    read_request,
    references,
    translate,
)
from santral.gateway.dialects.responses.state import ResponseStore
from santral.gateway.dialects.responses.writer import ResponsesWriter
from santral.gateway.inbound import Inbound
from santral.tenants.group import groups_in_force
from santral.web.errors import ErrorAnswer, openai_error
from santral.wire.responses import DIALECT


class _Retrieval(Struct, frozen=True):
    groups: list[str] | None = None


class _Extras(Struct, frozen=True):
    retrieval: _Retrieval | None = None


_extras = msgspec.json.Decoder(_Extras)


class ResponsesDialect:
    """``POST /v1/responses``."""

    name = DIALECT
    cites_blocks = False

    def __init__(self, store: ResponseStore, wall: Callable[[], float]) -> None:
        self._store = store
        self._wall = wall

    async def parse(self, inbound: Inbound, ctx: RequestContext) -> ResponsesCall:
        """Read a request, and what it goes on from.

        Raises:
            BadRequest: malformed, or something that is not offered.
            NotFound: it goes on from a response, or refers to an item, that is not there.
        """
        request, fields = read_request(inbound.body)
        earlier: list[Raw] = []
        seen: set[str] = set()
        previous, named = request.previous_response_id, references(request)
        groups = _groups(ctx, fields) if previous is not None or named else frozenset[str]()
        if previous is not None:
            kept = await self._store.find(ctx, previous, "previous_response_id", groups)
            earlier = kept.conversation
            seen.update(kept.groups)
        items = await self._store.items(ctx, named, groups)
        referred = {name: item for name, (item, _) in items.items()}
        seen.update(group for _, kept in items.values() for group in kept.groups)
        ctx.body_bytes += sum(len(bytes(item)) for item in (*earlier, *referred.values()))
        call = translate(request, fields, self._store.new_id(), earlier, referred)
        call.seen_by = frozenset(seen)
        ctx.response_id = f"resp_{call.response_id}"
        return call

    def writer(self, ctx: RequestContext) -> ResponsesWriter:
        """Return the writer of one answer."""
        call = ctx.call
        assert isinstance(call, ResponsesCall)  # noqa: S101 - parse made it
        return ResponsesWriter(ctx, call, self._store, self._wall)

    def citation(self, citation: Citation) -> Raw:
        """Return a ``url_citation``, or a ``file_citation`` of a document without a URL."""
        return Raw(msgspec.json.encode(annotation(citation)))

    def error(self, error: SantralError, request_id: str) -> ErrorAnswer:
        """Return OpenAI's error body."""
        return openai_error(error)

    def limit_headers(self, headers: Mapping[str, str]) -> Iterable[tuple[bytes, bytes]]:
        """Return the headers as they are: they are OpenAI's."""
        return [(name.encode(), value.encode()) for name, value in headers.items()]


def _groups(ctx: RequestContext, fields: Mapping[str, Raw]) -> frozenset[str]:
    """Return the groups of who goes on from something; what is wrong with the extras is told later."""
    try:
        named = _extras.decode(fields.get("santral", Raw(b"{}"))).retrieval
    except msgspec.ValidationError:
        named = None
    groups = None if named is None else named.groups
    return groups_in_force(ctx.caller.key, groups, "santral.retrieval.groups")
