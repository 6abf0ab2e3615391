"""``/v1/feedback``: what users say of answers becomes scores, and tokens with which browsers say it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from santral.config.feedback import FeedbackConfig
from santral.errors import BadRequest, SantralError, StoreError
from santral.feedback.given import Given, object_in, read_feedback, retraction, target_of, unknown
from santral.feedback.pace import Pace
from santral.feedback.token import MARK, Grant, TokenKey, require_grant
from santral.gateway.attendance import Receive
from santral.gateway.context import RequestContext
from santral.gateway.desk import Inner, Scope
from santral.gateway.inbound import Inbound
from santral.gateway.respond import Header, Responder, Send
from santral.gateway.stages.payload import payload_policy
from santral.gateway.state import Current
from santral.guardrails.entities.mask import Placeholders
from santral.guardrails.redact import redacted_texts
from santral.traces.ids import RandomBits, new_trace_id
from santral.traces.metrics import Metrics
from santral.traces.scores.score import OF_REQUEST, OF_RESPONSE, ScoreRecord
from santral.traces.scores.waiting import waiting_score
from santral.traces.spool import Spool
from santral.web.errors import openai_error

Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Largest body. Chosen: the longest comment, escaped.
MAX_BODY_BYTES = 1024 * 1024
_MOST_NAMES = 20
_MOST_IDEMPOTENCY_KEY = 255
_encode = msgspec.json.Encoder().encode


class _TokenBody(Struct, frozen=True, kw_only=True):
    trace_id: str = ""
    response_id: str = ""
    names: list[str] = []
    expires_in_s: int | None = None
    user: str = ""


class Feedback:
    """The handlers of the endpoints; scores go to the spool, as finished requests do."""

    def __init__(
        self,
        current: Current,
        spool: Spool,
        metrics: Metrics,
        rng: RandomBits,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._current = current
        self._spool = spool
        self._taken = metrics["santral_feedback_total"]
        self._rng = rng
        self._wall = wall
        self._pace = Pace(clock)
        self._key = TokenKey(current.snapshot.config)

    async def give(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Take one score; 200 once the spool has it.

        Raises:
            BadRequest: the body cannot be understood.
            NotAllowed: the token is for another answer.
            QuotaExceeded: too much was said about this answer.
            StoreError: it could not be kept.
        """
        given = read_feedback(inbound.body, _settings(ctx).max_comment_chars)
        await self._take(ctx, inbound, responder, given)

    async def retract(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Take a score back; raises as ``give``."""
        query = dict(parse_qsl(inbound.query.decode("latin-1"), keep_blank_values=True))
        await self._take(ctx, inbound, responder, retraction(query))

    async def token(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Answer with a token for one answer.

        Raises:
            BadRequest: the body cannot be understood.
        """
        fields = object_in(inbound.body)
        unknown(fields, _TokenBody.__struct_fields__)
        try:
            asked = msgspec.convert(fields, _TokenBody)
        except msgspec.ValidationError as error:
            raise BadRequest(f"The body cannot be read: {error}.", code="invalid_request") from None
        target = target_of(asked.trace_id, asked.response_id)
        token, expires_at = self.token_for(
            ctx, target, asked.names[:_MOST_NAMES], asked.expires_in_s, asked.user
        )
        said = {"object": "feedback.token", "token": token, "expires_at": expires_at}
        await responder.send_json(_encode({**said, **_named(target)}), [_NO_STORE])

    def token_for(
        self, ctx: RequestContext, target: str, names: list[str], ttl_s: int | None, user: str
    ) -> tuple[str, int]:
        """Return a token for the caller's answer, and until when it is good."""
        most = _settings(ctx).token_ttl_s
        if ttl_s is not None and not 1 <= ttl_s <= most:
            raise BadRequest(
                f"expires_in_s is {ttl_s}; give 1 to {most} (feedback.token_ttl_s).",
                param="expires_in_s",
            )
        expires_at = int(self._wall()) + (ttl_s or most)
        caller = ctx.caller
        grant = Grant(caller.tenant.id, caller.key.id, target, expires_at, names, user[:128])
        return self._key.sign(grant), expires_at

    def with_tokens(self, endpoint: Endpoint) -> Endpoint:
        """Let an endpoint be asked with a client token in place of a key, from allowed web pages."""

        async def opened(scope: Scope, receive: Receive, send: Send) -> None:
            headers: dict[bytes, bytes] = dict(scope["headers"])
            send = self._for_pages(headers.get(b"origin", b""), send)
            try:
                self._admit(scope, _bearer(headers))
                await endpoint(scope, receive, send)
            except SantralError as error:  # answered here, so that the page can read it
                status, lines, body = openai_error(error)
                length = (b"content-length", str(len(body)).encode())
                lines = [*lines, (b"content-type", b"application/json"), length]
                await send({"type": "http.response.start", "status": status, "headers": lines})
                await send({"type": "http.response.body", "body": body, "more_body": False})

        return opened

    def _admit(self, scope: Scope, token: str) -> None:
        """Let whoever holds a token in, as the key that asked for it."""
        if not token.startswith(MARK):
            return
        now = self._wall()
        grant = self._key.read(token, now)
        scope["santral.inner"] = Inner(
            caller=self._current.snapshot.ring.holder(grant.key_id, now),
            request_id=f"req_{self._rng.getrandbits(96):024x}",
            trace_id=new_trace_id(self._rng),
        )
        scope["santral.parts"] = {"token": token}

    async def preflight(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell a browser what a page may send; nothing, where its origin is not allowed."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        lines = _page_headers(headers.get(b"origin", b""), self._current.snapshot.config.feedback)
        if lines:
            lines = [*lines, *_ALLOWED]
        lines.append((b"content-length", b"0"))
        await send({"type": "http.response.start", "status": 204, "headers": lines})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _for_pages(self, origin: bytes, send: Send) -> Send:
        lines = _page_headers(origin, self._current.snapshot.config.feedback)
        if not lines:
            return send

        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *lines]}
            await send(message)

        return sending

    async def _take(
        self, ctx: RequestContext, inbound: Inbound, responder: Responder, given: Given
    ) -> None:
        token = inbound.parts.get("token")
        if token:
            grant = self._key.read(token, self._wall())
            require_grant(grant, given.target, given.name)
            given = replace(given, user=grant.user or given.user)
        tenant = ctx.caller.tenant.id
        settings = _settings(ctx)
        self._pace.take(
            f"{tenant}/{given.target}",
            settings.max_per_trace_per_minute,
            "about this answer",
            "max_per_trace_per_minute",
        )
        self._pace.take(
            ctx.caller.key.id,
            settings.max_per_key_per_minute,
            "with this key",
            "max_per_key_per_minute",
        )
        words, dropped = _kept(ctx, given.words)
        label = _masked(ctx, given.label)  # a word of the page's own: kept under every policy
        score = self._score(ctx, inbound, replace(given, words=words, label=label))
        box = ctx.snapshot.spool_box
        if not self._spool.append(score if box is None else waiting_score(score, box)):
            raise StoreError(
                "The feedback could not be kept: the spool is full, or its disk takes nothing more. "
                "Send it again.",
                code="feedback_not_kept",
                retry_after_s=5,
            )
        self._taken.child(given.source).inc()
        await responder.send_json(_encode(_answer(score, given, dropped)), [_NO_STORE])

    def _score(self, ctx: RequestContext, inbound: Inbound, given: Given) -> ScoreRecord:
        return ScoreRecord(
            id=self._id(ctx, inbound, given),
            tenant_id=ctx.caller.tenant.id,
            trace_id=given.target,
            name=given.name,
            source=given.source,
            at_us=int(self._wall() * 1e6),
            value=given.value,
            label=given.label,
            comment=given.words,
            rater=given.user,
            is_retracted=given.is_retracted,
        )

    def _id(self, ctx: RequestContext, inbound: Inbound, given: Given) -> str:
        """Return what tells this piece of feedback from any other, and is the same when sent again.

        Without a key of the sender's it is new: of equal scores the newest is in force anyway. With
        one it is that of this score of this answer: no token reaches what is said of another answer.
        """
        key = inbound.header(b"idempotency-key")
        if not key:
            return f"{self._rng.getrandbits(128):032x}"
        if len(key) > _MOST_IDEMPOTENCY_KEY:
            raise BadRequest(
                f"The header Idempotency-Key has at most {_MOST_IDEMPOTENCY_KEY} characters."
            )
        act = "retract" if given.is_retracted else "give"
        named = "\0".join((ctx.caller.tenant.id, act, given.target, given.name, given.user, key))
        return hashlib.sha256(named.encode()).hexdigest()[:32]


#: What a page may do. Source: the Fetch standard, CORS protocol.
_ALLOWED: list[Header] = [
    (b"access-control-allow-methods", b"POST, DELETE"),
    (b"access-control-allow-headers", b"authorization, content-type, idempotency-key"),
    (b"access-control-max-age", b"600"),
]
_NO_STORE: Header = (b"cache-control", b"no-store")


def _page_headers(origin: bytes, settings: FeedbackConfig) -> list[Header]:
    allowed = settings.allowed_origins
    if not origin or not ("*" in allowed or origin.decode("latin-1") in allowed):
        return []
    return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]


def _bearer(headers: dict[bytes, bytes]) -> str:
    return headers.get(b"authorization", b"").decode("latin-1").removeprefix("Bearer ").strip()


def _settings(ctx: RequestContext) -> FeedbackConfig:
    return ctx.snapshot.config.feedback


def _kept(ctx: RequestContext, words: str) -> tuple[str, bool]:
    """Return what is kept of words, as payloads are kept, and whether nothing is."""
    if not words:
        return "", False
    if payload_policy(ctx) in ("hashes", "none"):
        return "", True
    return _masked(ctx, words), False


def _masked(ctx: RequestContext, text: str) -> str:
    """Return a text without values that policies mask, unless everything is kept as it is."""
    is_masked = payload_policy(ctx) != "full" or any(
        route.entity_checks for route in ctx.snapshot.routes.values()
    )
    return redacted_texts((text,), Placeholders())[0] if text and is_masked else text


def _named(target: str) -> dict[str, str]:
    for mark in (OF_REQUEST, OF_RESPONSE):
        if target.startswith(mark):
            return {"response_id": target.removeprefix(mark)}
    return {"trace_id": target}


def _answer(score: ScoreRecord, given: Given, dropped: bool) -> dict[str, Any]:
    said = {"id": score.id, "object": "feedback", "name": score.name, **_named(given.target)}
    said["status"] = "retracted" if score.is_retracted else "kept"
    if dropped:
        said["note"] = "The words were dropped: this tenant's logging policy keeps none."
    return said
