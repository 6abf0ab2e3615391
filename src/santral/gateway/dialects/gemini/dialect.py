"""Google's Gemini as callers speak it: ``/v1beta/models/{model}:generateContent`` and its kin, also below ``/v1``.

Source: https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw

from santral.errors import BadRequest, SantralError
from santral.gateway.citations.citation import Citation
from santral.gateway.context import RequestContext
from santral.gateway.dialects.gemini.error import google_error
from santral.gateway.dialects.gemini.read import fields_of
from santral.gateway.dialects.gemini.request import GeminiCall, body_fields, read_call
from santral.gateway.dialects.gemini.writer import GeminiWriter
from santral.gateway.inbound import Inbound
from santral.web.errors import ErrorAnswer

_COUNTED = "generateContentRequest"


class GeminiDialect:
    """``:generateContent`` and ``:streamGenerateContent``."""

    name = "gemini"
    cites_blocks = False

    async def parse(self, inbound: Inbound, ctx: RequestContext) -> GeminiCall:
        """Read a request; the model and the verb are in its path.

        One to count tokens may hold the request that is counted.

        Raises:
            BadRequest: malformed; the message names the place.
        """
        is_streaming = inbound.parts["verb"] == "streamGenerateContent"
        fields = body_fields(inbound.body)
        if inbound.parts["verb"] == "countTokens" and _COUNTED in fields:
            fields = fields_of(fields[_COUNTED], _COUNTED)
        try:
            call = read_call(fields, inbound.parts["model"], is_streaming=is_streaming)
        except RecursionError:
            raise BadRequest("The body is nested too deeply.", code="invalid_json") from None
        call.as_array = is_streaming and not _is_sse(inbound.query)
        return call

    def writer(self, ctx: RequestContext) -> GeminiWriter:
        """Return the writer of one answer."""
        call = ctx.call
        assert isinstance(call, GeminiCall)  # noqa: S101 - parse made it
        return GeminiWriter(ctx, shows_thoughts=call.shows_thoughts, as_array=call.as_array)

    def citation(self, citation: Citation) -> Raw:
        """Return what the writer gathers into ``groundingMetadata``."""
        return Raw(msgspec.json.encode({"type": "native", "gemini": citation}))

    def error(self, error: SantralError, request_id: str) -> ErrorAnswer:
        """Return Google's error body."""
        return google_error(error)

    def limit_headers(self, headers: Mapping[str, str]) -> Iterable[tuple[bytes, bytes]]:
        """Return the headers as they are: Google has none of its own."""
        return [(name.encode(), value.encode()) for name, value in headers.items()]


def _is_sse(query: bytes) -> bool:
    return parse_qs(query).get(b"alt") == [b"sse"]
