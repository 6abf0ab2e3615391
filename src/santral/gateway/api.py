"""The data plane as plain ASGI: which endpoint, who is calling, and one request into the path."""

from __future__ import annotations

import asyncio
import logging
import random  # noqa: TID251 - for the type alone; the generator is an argument
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from santral.errors import (
    BadRequest,
    MethodNotAllowed,
    NotAllowed,
    NotFound,
    Overloaded,
    SantralError,
    TooSlow,
    nearest,
)
from santral.gateway.attendance import Attendance, ClientLeft, Guest, Receive
from santral.gateway.body import read_body
from santral.gateway.context import RequestContext
from santral.gateway.pipeline import answer, refuse
from santral.gateway.respond import Responder, Send
from santral.gateway.stages import Stages
from santral.gateway.state import Current
from santral.tenants.keyring import presented_key
from santral.traces.ids import new_span_id, new_trace_id, parse_traceparent
from santral.traces.metrics import CONTENT_TYPE, Metrics
from santral.web.errors import openai_error
from santral.wire.chat import parse_chat

log = logging.getLogger(__name__)

Scope = dict[str, Any]
Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]


class GatewayApp:
    """The ASGI application of a gateway worker."""

    def __init__(
        self,
        current: Current,
        stages: Stages,
        attendance: Attendance,
        metrics: Metrics,
        rng: random.Random,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.current = current
        self._stages = stages
        self._attendance = attendance
        self._metrics = metrics
        self._rng = rng
        self._clock = clock
        self._wall = wall
        in_flight = metrics["santral_in_flight"].child()
        metrics.watch(lambda: in_flight.set(len(attendance)))
        self._endpoints: dict[str, dict[str, Endpoint]] = {
            "/v1/chat/completions": {"POST": self._chat},
            "/v1/models": {"GET": self._models},
            "/health/live": {"GET": self._live},
            "/health/ready": {"GET": self._ready},
            "/metrics": {"GET": self._show_metrics},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise BadRequest(f"Santral speaks HTTP here, not {scope['type']}.")
        methods = self._endpoints.get(scope["path"])
        endpoint = methods.get(scope["method"]) if methods else None
        try:
            if endpoint is None:
                raise self._no_endpoint(scope, methods)
            await endpoint(scope, receive, send)
        except SantralError as error:
            await self._send_error(send, error)
        except ClientLeft:
            pass

    def _no_endpoint(self, scope: Scope, methods: dict[str, Endpoint] | None) -> SantralError:
        path, method = scope["path"], scope["method"]
        if methods:
            return MethodNotAllowed(f"{path} takes {', '.join(methods)}, not {method}.")
        hint = nearest(path, self._endpoints)
        return NotFound(f"There is no endpoint {path}.{hint}", code="unknown_endpoint")

    async def _chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        ctx = self._new_context(headers)
        settings = ctx.snapshot.config.server
        if len(self._attendance) >= settings.max_in_flight:
            raise Overloaded(
                f"This worker is answering {settings.max_in_flight} requests already "
                "(server.max_in_flight).",
                retry_after_s=1,
            )
        responder = Responder(send, ctx)
        guest = ctx.guest = self._attendance.enter(receive, settings.body_s)
        try:
            body = await read_body(receive, headers, settings.max_body_bytes)
            guest.body_came()
            await self._answer(ctx, responder, body)
        except SantralError as error:
            await self._refuse(ctx, responder, error)
        except asyncio.CancelledError:
            if not guest.excuse():
                raise
            await self._excused(ctx, responder, guest)
        finally:
            self._attendance.leave(guest)

    async def _excused(self, ctx: RequestContext, responder: Responder, guest: Guest) -> None:
        """End a request that the attendance cancelled, and say why where somebody is there to hear it."""
        if guest.is_stopped:
            stopping = "The gateway is stopping and could not finish this answer. Ask again."
            await responder.fail(Overloaded(stopping, code="gateway_stopping", retry_after_s=1))
        elif guest.is_late:
            late = f"The body did not arrive within {ctx.snapshot.config.server.body_s:g} s (server.body_s)."
            await self._refuse(ctx, responder, TooSlow(late))
        else:
            log.info("client_left", extra={"trace_id": ctx.trace_id})

    def _new_context(self, headers: dict[bytes, bytes]) -> RequestContext:
        now = self._wall()
        key = presented_key(_header(headers, b"authorization"), _header(headers, b"x-api-key"))
        snapshot = self.current.snapshot
        parent = parse_traceparent(_header(headers, b"traceparent"))
        return RequestContext(
            request_id=f"req_{self._rng.getrandbits(96):024x}",
            trace_id=new_trace_id(self._rng),
            caller_trace_id=parent[0] if parent else "",
            parent_span_id=parent[1] if parent else "",
            root_span_id=new_span_id(self._rng),
            caller=snapshot.ring.identify(key, now),
            snapshot=snapshot,
            clock=self._clock,
            started_at_us=int(now * 1e6),
        )

    async def _refuse(self, ctx: RequestContext, responder: Responder, error: SantralError) -> None:
        try:
            await refuse(ctx, error, self._stages)
        except SantralError:
            await responder.fail(error)

    async def _answer(self, ctx: RequestContext, responder: Responder, body: bytes) -> None:
        try:
            try:
                _admit(ctx, body)
            except SantralError as error:
                await refuse(ctx, error, self._stages)
            await answer(ctx, responder.emit, self._stages)
            await responder.finish()
        except SantralError as error:
            await responder.fail(error)
        except Exception:  # the last handler: a fault of ours must still be an answer
            log.exception("request_failed", extra={"trace_id": ctx.trace_id})
            await responder.fail(
                SantralError(
                    "Something went wrong inside the gateway. Give the operator the request id "
                    f"{ctx.request_id}."
                )
            )

    async def _models(self, scope: Scope, receive: Receive, send: Send) -> None:
        ctx = self._new_context(dict(scope["headers"]))
        allowed = ctx.caller.key.routes
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "santral"}
            for name in ctx.snapshot.routes
            if allowed is None or name in allowed
        ]
        await self._send_json(send, 200, {"object": "list", "data": data})

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._send_json(send, 200, {"status": "live"})

    async def _ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        reasons = self.current.reasons_not_ready()
        status = 503 if reasons else 200
        await self._send_json(
            send, status, {"status": "not ready" if reasons else "ready", "reasons": reasons}
        )

    async def _show_metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _respond(
            send, 200, [(b"content-type", CONTENT_TYPE.encode())], self._metrics.render().encode()
        )

    async def _send_json(self, send: Send, status: int, body: object) -> None:
        headers = [(b"content-type", b"application/json"), self._request_id()]
        await _respond(send, status, headers, msgspec.json.encode(body))

    async def _send_error(self, send: Send, error: SantralError) -> None:
        status, headers, body = openai_error(error)
        headers += [(b"content-type", b"application/json"), self._request_id()]
        await _respond(send, status, headers, body)

    def _request_id(self) -> tuple[bytes, bytes]:
        return (b"x-request-id", f"req_{self._rng.getrandbits(96):024x}".encode())


def _header(headers: dict[bytes, bytes], name: bytes) -> str:
    value = headers.get(name)
    return "" if value is None else value.decode("latin-1")


def _admit(ctx: RequestContext, body: bytes) -> None:
    """Read the request and find its route; what is wrong with it is a refusal that leaves a trace."""
    ctx.body_bytes = len(body)
    ctx.call = parse_chat(body)
    name = ctx.requested_model = ctx.call.view.model
    allowed = ctx.caller.key.routes
    route = ctx.snapshot.routes.get(name)
    if route is None:
        known = [known for known in ctx.snapshot.routes if allowed is None or known in allowed]
        raise NotFound(
            f"There is no model or route '{name[:128]}'.{nearest(name[:128], known)} "
            "GET /v1/models lists them.",
            code="model_not_found",
            param="model",
        )
    if allowed is not None and name not in allowed:
        raise NotAllowed(
            f"This key may not use '{name}'. Ask an administrator for a key that may.",
            param="model",
        )
    ctx.route = route


async def _respond(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
