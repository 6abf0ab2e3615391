"""OpenAI's chat completions: the internal form itself, so what nobody changed stays byte for byte.

Source: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from santral.errors import SantralError
from santral.gateway.citations.citation import Citation
from santral.gateway.context import RequestContext
from santral.gateway.inbound import Inbound
from santral.web.errors import ErrorAnswer, error_body, openai_error
from santral.wire.chat import ChatCall, parse_chat
from santral.wire.delta import ChoiceDelta, Delta
from santral.wire.render import chunk, completion, fold, unfold, usage_chunk
from santral.wire.sse import DONE, encode_event
from santral.wire.usage import Usage

_encode = msgspec.json.Encoder().encode
_fields = msgspec.json.Decoder(dict[str, Raw])


class ChatDialect:
    """``POST /v1/chat/completions``."""

    name = "chat"
    cites_blocks = False

    async def parse(self, inbound: Inbound, ctx: RequestContext) -> ChatCall:
        """Read a request; see ``parse_chat``."""
        return parse_chat(inbound.body)

    def writer(self, ctx: RequestContext) -> ChatWriter:
        """Return the writer of one answer."""
        return ChatWriter(ctx)

    def citation(self, citation: Citation) -> Raw:
        """Return a ``url_citation`` of the mark, or of the claim where the mark was taken out."""
        return Raw(_encode(url_citation(citation)))

    def error(self, error: SantralError, request_id: str) -> ErrorAnswer:
        """Return OpenAI's error body."""
        return openai_error(error)

    def limit_headers(self, headers: Mapping[str, str]) -> Iterable[tuple[bytes, bytes]]:
        """Return the headers as they are: they are OpenAI's."""
        return [(name.encode(), value.encode()) for name, value in headers.items()]


class ChatWriter:
    """Writes chunks or a completion: the provider's own bytes where nothing changed."""

    __slots__ = ("_ctx", "_first", "_seen", "_usage_raw", "_wants_usage")

    def __init__(self, ctx: RequestContext) -> None:
        self._ctx = ctx
        self._first: Delta | None = None
        self._seen: set[int] = set()  # choices whose role has been announced
        self._usage_raw = b""
        options = ctx.call.view.stream_options
        self._wants_usage = options is not None and options.include_usage

    def write(self, delta: Delta) -> bytes:
        """Return the chunk of ``delta``, or two a choice where it is a whole answer."""
        if delta.usage is not None and not delta.choices:
            self._usage_raw = delta.raw
            return b""
        if delta.is_whole:
            return b"".join(map(self._chunk, _as_chunks(delta)))
        return self._chunk(delta)

    async def end(self, usage: Usage | None) -> bytes:
        """Return usage, where the client asked for it, and ``[DONE]``."""
        opening = b""
        if self._first is None:  # an answer without a single event is still a stream
            opening = self._chunk(Delta(choices=(ChoiceDelta(finish_reason="stop"),)))
        last = b""
        if self._wants_usage:
            first = self._first or Delta()
            named = self._named(Delta(id=first.id, model=first.model, created=first.created))
            last = encode_event(self._usage_raw or usage_chunk(named, usage or Usage()))
        return opening + last + DONE

    def fail(self, error: SantralError) -> bytes:
        """Return the error as an event: official clients raise on it."""
        return encode_event(error_body(error))

    async def whole(self, deltas: Sequence[Delta], usage: Usage | None) -> bytes:
        """Return the completion."""
        answer = fold(deltas)
        return self._with_sources(answer.raw or completion(self._named(answer)))

    def _chunk(self, delta: Delta) -> bytes:
        first = self._first
        if first is None:
            self._first = first = delta
            delta = delta if delta.raw else self._named(delta)
        said = delta.raw or self._composed(delta, first)
        if self._ctx.citations and any(choice.finish_reason for choice in delta.choices):
            said = self._with_sources(said)
        data = encode_event(said)
        for choice in delta.choices:
            self._seen.add(choice.index)
        return data

    def _composed(self, delta: Delta, first: Delta) -> bytes:
        """Return a chunk of ours with its stream's identity: every chunk of one has the same."""
        new = {choice.index for choice in delta.choices} - self._seen
        alike = Delta(
            choices=delta.choices,
            id=first.id,
            model=first.model,
            created=first.created,
            service_tier=delta.service_tier,
        )
        return chunk(self._named(alike), role=new)

    def _with_sources(self, body: bytes) -> bytes:
        """Add the documents that the answer cites; what is there stays byte for byte."""
        cited = {citation.number: citation.source() for citation in self._ctx.citations}
        if not cited:
            return body
        sources = [cited[number] for number in sorted(cited)]
        return _encode(_fields.decode(body) | {"santral": {"sources": sources}})

    def _named(self, delta: Delta) -> Delta:
        """Fill in the identity of a delta that we composed."""
        if delta.id and delta.model and delta.created:
            return delta
        ctx = self._ctx
        return msgspec.structs.replace(
            delta,
            id=delta.id or f"chatcmpl-{ctx.request_id}",
            model=delta.model or ctx.requested_model,
            created=delta.created or ctx.started_at_us // 1_000_000,
            raw=b"",
        )


def url_citation(citation: Citation) -> dict[str, Any]:
    """Return the annotation of OpenAI's chat completions, with what Santral knows beside it.

    Source: https://platform.openai.com/docs/api-reference/chat/object (message.annotations)
    """
    start, end = citation.mark_start, citation.mark_end
    if start == end:
        start, end = citation.claim_start, citation.claim_end
    return {
        "type": "url_citation",
        "url_citation": {
            "url": citation.address,
            "title": citation.name,
            "start_index": start,
            "end_index": end,
        },
        "santral": citation.facts(),
    }


def _as_chunks(whole: Delta) -> Iterable[Delta]:
    """A whole answer in a stream (from the cache, or checked as a whole) becomes two chunks a choice."""
    for choice in whole.choices:
        yield from unfold(msgspec.structs.replace(whole, choices=(choice,), usage=None))
