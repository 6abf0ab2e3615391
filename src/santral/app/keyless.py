"""Around the admin API and the console: no address may hold a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from santral.errors import BadRequest
from santral.tenants.url import refuse_key_in_url
from santral.web.errors import openai_error

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


class KeylessAddresses:
    """Refuses a request with a key in its address, whatever it asks for, before anybody notes it."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                refuse_key_in_url(scope["path"], scope.get("query_string", b""))
            except BadRequest as error:
                await _answer(send, error)
                return
        await self._app(scope, receive, send)


async def _answer(send: Send, error: BadRequest) -> None:
    status, headers, body = openai_error(error)
    lines = [*headers, (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
