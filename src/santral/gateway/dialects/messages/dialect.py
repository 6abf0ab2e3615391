"""Anthropic's Messages protocol for callers: ``POST /v1/messages``.

Source: https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec import Raw

from santral.errors import SantralError
from santral.gateway.citations.citation import Citation
from santral.gateway.context import RequestContext
from santral.gateway.dialects.messages.cited import location
from santral.gateway.dialects.messages.error import limit_headers, messages_error
from santral.gateway.dialects.messages.request import read_request
from santral.gateway.dialects.messages.writer import MessagesWriter
from santral.gateway.inbound import Inbound
from santral.web.errors import ErrorAnswer
from santral.wire.chat import ChatCall
from santral.wire.messages import MESSAGES


class MessagesDialect:
    """How clients of Anthropic's protocol speak."""

    name = MESSAGES
    cites_blocks = True

    def __init__(
        self,
        wall_clock: Callable[[], float] = time.time,  # noqa: TID251 - the default of an argument
    ) -> None:
        self._wall_clock = wall_clock

    async def parse(self, inbound: Inbound, ctx: RequestContext) -> ChatCall:
        """Read a request; see ``read_request``. Flags of its client are noted for the provider."""
        betas = inbound.header(b"anthropic-beta")
        if betas:
            ctx.caller_headers["anthropic-beta"] = betas
        return read_request(inbound.body)

    def writer(self, ctx: RequestContext) -> MessagesWriter:
        """Return the writer of one answer."""
        return MessagesWriter(ctx)

    def citation(self, citation: Citation) -> Raw:
        """Return what the block machine puts into the text block before it."""
        return Raw(msgspec.json.encode({"type": "native", "anthropic": location(citation)}))

    def error(self, error: SantralError, request_id: str) -> ErrorAnswer:
        """Return Anthropic's error body, with 529 for an overload."""
        return messages_error(error, request_id, self._wall_clock())

    def limit_headers(self, headers: Mapping[str, str]) -> Iterable[tuple[bytes, bytes]]:
        """Return the limits as ``anthropic-ratelimit-*``."""
        return limit_headers(headers, self._wall_clock())
