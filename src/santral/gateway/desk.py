"""Takes requests in: who is calling, is there room, the body within size and time; then hands on."""

from __future__ import annotations

import asyncio
import logging
import random  # noqa: TID251 - for the type alone; the generator is an argument
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from santral.config.network import Address
from santral.errors import NotAllowed, Overloaded, SantralError, TooSlow
from santral.gateway.allowed import allowed_part
from santral.gateway.attendance import Attendance, Guest, Receive
from santral.gateway.body import read_body
from santral.gateway.context import Dialect, RequestContext
from santral.gateway.inbound import Inbound
from santral.gateway.models import unknown_model, usable_routes
from santral.gateway.pipeline import refuse
from santral.gateway.respond import Responder, Send
from santral.gateway.stages import Stages
from santral.gateway.state import Current, RouteState
from santral.tenants.keyring import Caller, presented_key, require_network, require_scope
from santral.tenants.scope import KeyScope
from santral.traces.ids import new_span_id, new_trace_id, parse_traceparent
from santral.web.peer import Networks, peer_address
from santral.wire.loss import Losses

log = logging.getLogger(__name__)

Scope = dict[str, Any]


class Inner(Struct, frozen=True, kw_only=True):
    """Who asks from inside this process, in ``scope["santral.inner"]``: no client can set that."""

    caller: Caller
    request_id: str
    trace_id: str
    deployment: str = ""  # which one alone may be asked
    is_prepaid: bool = False  # its provider has answered already: no limit may refuse it


#: Answers one request whose body has been read; its errors are answered by the desk.
Handler = Callable[[RequestContext, Inbound, Responder], Awaitable[None]]


class Desk:
    """The front desk of a gateway worker: every authenticated endpoint goes through here."""

    def __init__(
        self,
        current: Current,
        stages: Stages,
        attendance: Attendance,
        rng: random.Random,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.current = current
        self.stages = stages
        self._attendance = attendance
        self._rng = rng
        self._clock = clock
        self._wall = wall
        self._trusted = Networks(current.snapshot.config.server.trusted_proxies)

    async def serve(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        dialect: Dialect,
        handle: Handler,
        *,
        asks: KeyScope,
        max_body_bytes: int | None = None,
    ) -> None:
        """Answer one request with ``handle``, whatever happens.

        ``asks`` is what the caller's key must be for. ``max_body_bytes`` replaces ``server.max_body_bytes`` where an endpoint takes more.

        Raises:
            SantralError: before anybody knows who is calling, or when there is no room.
        """
        headers: dict[bytes, bytes] = dict(scope["headers"])
        ctx = self.new_context(scope, headers, dialect, asks)
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
            body = await read_body(receive, headers, max_body_bytes or settings.max_body_bytes)
            guest.body_came()
            ctx.body_bytes = len(body)
            await self._answer(ctx, responder, _inbound(scope, headers, body), handle)
        except SantralError as error:
            await self._refuse(ctx, responder, error)
        except asyncio.CancelledError:
            if not guest.excuse():
                raise
            await self._excused(ctx, responder, guest)
        finally:
            self._attendance.leave(guest)

    def new_context(
        self, scope: Scope, headers: Mapping[bytes, bytes], dialect: Dialect, asks: KeyScope
    ) -> RequestContext:
        """Return the context of a request that begins now.

        Raises:
            Unauthenticated: no valid key came with it.
            NotAllowed: the key is not for this, or not from there.
        """
        now = self._wall()
        snapshot = self.current.snapshot
        inner: Inner | None = scope.get("santral.inner")
        caller = inner.caller if inner else snapshot.ring.identify(_key(headers), now)
        if caller.fence is not None:
            require_scope(caller, asks)
            if inner is None:
                require_network(caller, self._peer(scope))
        parent = parse_traceparent(_header(headers, b"traceparent"))
        ctx = RequestContext(
            request_id=inner.request_id if inner else f"req_{self._rng.getrandbits(96):024x}",
            trace_id=inner.trace_id if inner else new_trace_id(self._rng),
            caller_trace_id=parent[0] if parent else "",
            parent_span_id=parent[1] if parent else "",
            root_span_id=new_span_id(self._rng),
            caller=caller,
            snapshot=snapshot,
            dialect=dialect,
            clock=self._clock,
            started_at_us=int(now * 1e6),
        )
        if inner is not None:
            ctx.pinned, ctx.is_prepaid = inner.deployment, inner.is_prepaid
            ctx.is_inner = True
        return ctx

    def _peer(self, scope: Scope) -> Address | None:
        lines = (value for name, value in scope["headers"] if name == b"x-forwarded-for")
        client = scope.get("client")
        forwarded = (line.decode("latin-1") for line in lines)
        return peer_address(client[0] if client else None, forwarded, self._trusted)

    async def _answer(
        self, ctx: RequestContext, responder: Responder, inbound: Inbound, handle: Handler
    ) -> None:
        try:
            await handle(ctx, inbound, responder)
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

    async def _refuse(self, ctx: RequestContext, responder: Responder, error: SantralError) -> None:
        try:
            await refuse(ctx, error, self.stages)
        except SantralError:
            await responder.fail(error)

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


def find_route(ctx: RequestContext, name: str) -> RouteState:
    """Return the route a request names and note both in the context.

    Raises:
        NotFound: no such route; the nearest is named.
        NotAllowed: the caller's key may not use it, or none of its models.
    """
    ctx.requested_model = name
    route = ctx.snapshot.routes.get(name)
    if route is None:
        raise unknown_model(name, usable_routes(ctx))
    if not ctx.caller.key.may_use(name):
        raise NotAllowed(
            f"This key may not use '{name}'. Ask an administrator for a key that may.",
            param="model",
        )
    models = ctx.caller.key.models
    if models is not None:
        route = _allowed(route, models)
    ctx.route = route
    if route.strict:
        ctx.losses = Losses(strict_route=route.name)
    return route


def _allowed(route: RouteState, models: frozenset[str]) -> RouteState:
    part = allowed_part(route, models)
    if part is None:
        wanted = ", ".join(dict.fromkeys(d.name for d in route.route.deployments()))
        raise NotAllowed(
            f"This key may not use the models behind '{route.name}' ({wanted}). Ask an "
            "administrator for a key that may.",
            code="model_not_allowed",
            param="model",
        )
    return part


def _inbound(scope: Scope, headers: Mapping[bytes, bytes], body: bytes) -> Inbound:
    return Inbound(
        method=scope["method"],
        path=scope["path"],
        headers=headers,
        body=body,
        query=scope.get("query_string", b""),
        parts=scope.get("santral.parts", {}),
    )


def _key(headers: Mapping[bytes, bytes]) -> str:
    other = headers.get(b"x-api-key") or headers.get(b"x-goog-api-key") or b""
    return presented_key(_header(headers, b"authorization"), other.decode("latin-1"))


def _header(headers: Mapping[bytes, bytes], name: bytes) -> str:
    value = headers.get(name)
    return "" if value is None else value.decode("latin-1")
