"""A session of the console: begun once, asked for on every page, over by itself or at once.

The cookie is 256 random bits; the database keeps their digest. Who signed in is looked up again on
every page: a person who is switched off, a role that was taken, a key that was revoked end their
sessions with the next page.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from santral.audit.note import Actor, note
from santral.db.engine import Connection, Engine, reading, writing
from santral.errors import RequestError
from santral.tenants import store as tenant_store
from santral.tenants.key import RandomBytes
from santral.tenants.keyring import KeyRing
from santral.tenants.permission import Principal
from santral.tenants.principal import principal_of
from santral.tenants.sessions import store
from santral.tenants.sessions.store import Holder
from santral.tenants.tenant import EVERYWHERE, KeyId
from santral.tenants.users.change import load_principal

#: A working day. Chosen.
LIFETIME = timedelta(hours=12)
#: Sessions that one holder has at once; beyond it the oldest ends. Chosen.
_MOST_OF_ONE = 50
_BYTES = 32


class Visitor(Struct, frozen=True):
    """Who looks at a page, and the word that proves a form to be one of ours."""

    principal: Principal
    form_token: str


class Sessions:
    """Who is signed in. ``clock`` is seconds since 1970."""

    def __init__(self, engine: Engine, rng: RandomBytes, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._rng = rng
        self._clock = clock

    async def begin(self, holder: Holder, origin: str) -> str:
        """Begin a session; return its cookie."""
        cookie = urlsafe_b64encode(self._rng(_BYTES)).decode("ascii").rstrip("=")
        now = self._now()
        async with writing(self._engine) as conn:
            await store.delete_over(conn, now)
            await store.insert_session(conn, _digest(cookie), holder, now, now + LIFETIME)
            await store.delete_oldest(conn, holder, _MOST_OF_ONE)
            await _note(conn, "sessions.begin", holder, origin)
        return cookie

    async def who(self, cookie: str | None, origin: str) -> Visitor | None:
        """Return who is signed in with ``cookie``; None where nobody is, or not any more."""
        if not cookie or len(cookie) > 2 * _BYTES:
            return None
        now = self._now()
        async with reading(self._engine) as conn:
            holder = await store.find_session(conn, _digest(cookie), now)
            if holder is None:
                return None
            try:
                principal = await _principal(conn, holder, origin, now)
            except RequestError:  # switched off, revoked, expired, without a role
                return None
        return Visitor(principal, form_token(cookie))

    async def end(self, cookie: str | None, origin: str) -> None:
        """Sign out; a cookie of no session changes nothing."""
        if not cookie:
            return
        async with writing(self._engine) as conn:
            holder = await store.delete_session(conn, _digest(cookie))
            if holder is not None:
                await _note(conn, "sessions.end", holder, origin)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def form_token(cookie: str) -> str:
    """Return what every form of a session carries: another site can neither read nor make it."""
    return hmac.new(cookie.encode(), b"form", hashlib.sha256).hexdigest()


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()


async def _note(conn: Connection, action: str, holder: Holder, origin: str) -> None:
    name = f"key:{holder.key_id}" if holder.user_id is None else f"user:{holder.user_id}"
    await note(conn, Actor(name, origin), action, name, tenant_id=EVERYWHERE)


async def _principal(conn: Connection, holder: Holder, origin: str, now: datetime) -> Principal:
    """Return who a holder is at this moment.

    Raises:
        RequestError: switched off, revoked, expired, elsewhere than the key may be used, without role.
    """
    if holder.user_id is not None:
        return await load_principal(conn, holder.user_id, origin)
    key_id = KeyId(holder.key_id or "")
    keys = await tenant_store.find_keys(conn, key_id)
    ring = KeyRing(keys, await tenant_store.list_tenants(conn))
    return await principal_of(conn, ring.holder(key_id, now.timestamp()), origin)
