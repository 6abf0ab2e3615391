"""The least a Python gateway can do with uvicorn and aiohttp: read, forward, hand back. Run by bare.py."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import aiohttp

_URL = os.environ["BENCH_UPSTREAM"] + "/chat/completions"
_session: aiohttp.ClientSession | None = None

Message = MutableMapping[str, Any]


async def app(
    _scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Forward one chat request, whole or streamed."""
    global _session
    if _session is None:
        _session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=4096), auto_decompress=False
        )
    body, has_more = b"", True
    while has_more:
        message = await receive()
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
    async with _session.post(
        _URL, data=body, headers={"content-type": "application/json"}
    ) as answer:
        content_type = answer.headers["content-type"].encode()
        headers = [(b"content-type", content_type)]
        if b"event-stream" not in content_type:
            whole = await answer.read()
            headers.append((b"content-length", str(len(whole)).encode()))
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            await send({"type": "http.response.body", "body": whole})
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        async for part in answer.content.iter_any():
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
