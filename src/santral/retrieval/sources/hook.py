"""Webhooks: a site says that something has changed, and the source runs soon, once however often."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterable, Mapping
from datetime import datetime

from msgspec import Struct

from santral.audit.note import Actor, note
from santral.db.engine import Engine, reading, writing
from santral.errors import ConfigError, QuotaExceeded, TooLarge, Unauthenticated
from santral.retrieval.sources import store
from santral.retrieval.sources.keep import token_digest
from santral.retrieval.sources.record import KeptSource
from santral.retrieval.sources.registry import checked_settings

#: Longest body. Source: GitHub caps payloads at 25 MB.
MAX_BODY = 25 * 1024 * 1024
#: Calls for one source in a minute; further ones get a 429. Chosen.
CALLS_PER_MINUTE = 30
#: Names whose calls are counted apart; those beyond share a count. Chosen.
_MOST_COUNTED = 10_000


class Call(Struct, frozen=True):
    """What is read of the headers of a webhook."""

    token: str = ""
    signature: str = ""


def call_of(headers: Mapping[str, str]) -> Call:
    """Return what a call proves itself with.

    ``Authorization: Bearer`` or GitLab's ``X-Gitlab-Token`` hold the token of the source, GitHub's
    ``X-Hub-Signature-256`` signs the body. Source: the documentations of both.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return Call(bearer or headers.get("x-gitlab-token", ""), headers.get("x-hub-signature-256", ""))


class Turnstile:
    """Counts calls by the minute, in this process."""

    def __init__(self, per_minute: int = CALLS_PER_MINUTE) -> None:
        self._per_minute = per_minute
        self._minute = 0
        self._counts: dict[str, int] = {}

    def enter(self, name: str, now: datetime) -> None:
        """Count a call; raises QuotaExceeded where there were too many."""
        seconds = int(now.timestamp())
        if seconds // 60 != self._minute:
            self._minute, self._counts = seconds // 60, {}
        if name not in self._counts and len(self._counts) >= _MOST_COUNTED:
            name = ""
        self._counts[name] = self._counts.get(name, 0) + 1
        if self._counts[name] > self._per_minute:
            raise QuotaExceeded(
                f"This webhook is called more than {self._per_minute} times a minute. One call is "
                "enough for all that has changed.",
                code="hook_too_often",
                retry_after_s=60 - seconds % 60,
            )


async def ring(
    engine: Engine,
    source_id: str,
    call: Call,
    body: AsyncIterable[bytes],
    now: datetime,
    *,
    origin: str,
) -> bool:
    """Let a source run as soon as it can; return whether this call was the one that asked for it.

    Raises:
        Unauthenticated: no such source, or the call does not prove itself; nobody can tell which.
        TooLarge: its body is longer than any webhook's.
    """
    async with reading(engine) as conn:
        source = await store.find_source(conn, source_id)
    if source is None or not await _is_proved(source, call, body):
        raise Unauthenticated(
            "This webhook needs the token of its source as a bearer or in X-Gitlab-Token, or GitHub's "
            "signature by the source's hook_secret. Make a token with: santral sources token SOURCE",
            code="hook_refused",
        )
    async with writing(engine) as conn:
        fresh = await store.find_source(conn, source_id)
        if fresh is None or _is_asked(fresh, now):
            return False
        await store.update_source(conn, fresh.tenant_id, source_id, next_at=now)
        await note(
            conn, Actor(name=f"hook:{source_id}", origin=origin), "sources.hook",
            f"source:{source_id}", tenant_id=fresh.tenant_id,
        )  # fmt: skip
    return True


def _is_asked(source: KeptSource, now: datetime) -> bool:
    """Whether it runs soon anyway, or not at all."""
    is_due = source.next_at is not None and source.next_at <= now
    return is_due or source.is_paused or source.is_leaving


async def _is_proved(source: KeptSource, call: Call, body: AsyncIterable[bytes]) -> bool:
    if call.token:
        given = token_digest(call.token)
        return bool(source.token_digest) and hmac.compare_digest(given, source.token_digest)
    if not call.signature:
        return False
    try:
        secret = checked_settings(source.kind, source.settings).hook_secret
        key = None if secret is None else secret.reveal().encode()
    except ConfigError:
        return False
    if not key:
        return False
    return hmac.compare_digest(await _signature(key, body), call.signature.encode().lower())


async def _signature(key: bytes, body: AsyncIterable[bytes]) -> bytes:
    """Return what GitHub's header has to say of a body, which is never held whole."""
    mac = hmac.new(key, digestmod=hashlib.sha256)
    size = 0
    async for piece in body:
        size += len(piece)
        if size > MAX_BODY:
            raise TooLarge(f"The body of a webhook has at most {MAX_BODY} bytes.")
        mac.update(piece)
    return b"sha256=" + mac.hexdigest().encode()
