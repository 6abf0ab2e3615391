"""Asks this worker's own endpoints from inside, as the tenant who asked for a batch."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import Struct

from santral.errors import SantralError
from santral.gateway.attendance import Receive
from santral.gateway.batches.batch import Batch, Line, request_id
from santral.gateway.desk import Inner
from santral.gateway.respond import Send
from santral.tenants.keyring import KeyRing

Ask = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


class InnerAnswer(Struct, frozen=True):
    """What an endpoint answered."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask_inside(
    app: Ask, ring: KeyRing, now: float, batch: Batch, line: Line, *, deployment: str = ""
) -> InnerAnswer:
    """Return the answer of one endpoint to one request of a batch, under the key that made it.

    The request's id makes the trace's id, too: asked again after a crash, the request is the same
    one to the ledger and to the traces, and is billed once. ``deployment`` is the one that has
    answered already, in a batch of its provider.
    """
    try:
        caller = ring.holder(batch.key_id, now)
    except SantralError as error:  # the key was revoked since
        return _refusal(error)
    answer, name, body = _Collected(), request_id(batch, line), bytes(line.body)
    trace_id = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": batch.endpoint,
        "query_string": b"",
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ],
        "santral.inner": Inner(
            caller=caller,
            request_id=name,
            trace_id=trace_id,
            deployment=deployment,
            is_prepaid=bool(deployment),
        ),
    }
    await app(scope, _Body(body).receive, answer.send)
    return InnerAnswer(answer.status, answer.headers, b"".join(answer.parts))


def _refusal(error: SantralError) -> InnerAnswer:
    what = {"message": error.message, "type": error.kind, "code": error.detail_code}
    return InnerAnswer(error.status, {}, msgspec.json.encode({"error": what}))


class _Body:
    """A client that sends one body and stays."""

    __slots__ = ("_body", "_left")

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._left = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._left.wait()  # for ever: its task is cancelled when the answer is there
        return {"type": "http.disconnect"}


class _Collected:
    """What is sent to such a client."""

    __slots__ = ("headers", "parts", "status")

    def __init__(self) -> None:
        self.status = 500
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in message["headers"]
            }
        else:
            self.parts.append(message.get("body", b""))
