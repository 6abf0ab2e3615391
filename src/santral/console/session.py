"""Sign-in to the console: an admin key once, then a signed cookie that ends by itself.

The cookie holds no key, only the name of a session in this process's memory. The key is checked
again on every page, so a revoked key ends its sessions at once; so does a restart.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from msgspec import Struct

from santral.errors import RequestError

Who = TypeVar("Who")

COOKIE = "santral_session"
#: A working day. Chosen.
LIFETIME_S = 12 * 3600
#: Sessions held at once; beyond it the oldest ends. Chosen: an attacker with a key cannot fill memory.
_MOST_SESSIONS = 1000


class _Session(Struct, frozen=True):
    key: str
    ends_at: float


class Sessions(Generic[Who]):
    """Who is signed in. ``identify`` checks an admin key and says whose it is."""

    def __init__(
        self,
        identify: Callable[[str], Awaitable[Who]],
        clock: Callable[[], float],
        secret: bytes | None = None,
    ) -> None:
        self._identify = identify
        self._clock = clock
        self._secret = secret or secrets.token_bytes(32)
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    async def begin(self, key: str) -> str:
        """Return the cookie of a new session.

        Raises:
            RequestError: the key is not valid or not an administrator's.
        """
        await self._identify(key)
        name = secrets.token_urlsafe(24)
        ends_at = self._clock() + LIFETIME_S
        self._sessions[name] = _Session(key, ends_at)
        while len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return f"{name}.{int(ends_at)}.{self._sign(name, int(ends_at))}"

    async def who(self, cookie: str | None) -> Who | None:
        """Return who is signed in with ``cookie``, or None."""
        name = self._name(cookie)
        session = self._sessions.get(name) if name else None
        if session is None:
            return None
        try:
            return await self._identify(session.key)
        except RequestError:  # revoked, expired, no administrator any more
            self._sessions.pop(name, None)
            return None

    def end(self, cookie: str | None) -> None:
        """Sign out; a cookie of no session changes nothing."""
        self._sessions.pop(self._name(cookie), None)

    def _name(self, cookie: str | None) -> str:
        """Return the session that a genuine cookie names, or an empty string."""
        name, _, rest = (cookie or "").partition(".")
        until, _, signature = rest.partition(".")
        if not (until.isascii() and until.isdigit() and len(until) < 16 and signature.isascii()):
            return ""
        if not hmac.compare_digest(signature, self._sign(name, int(until))):
            return ""
        if self._clock() >= int(until):
            self._sessions.pop(name, None)
            return ""
        return name

    def _sign(self, name: str, until: int) -> str:
        return hmac.new(self._secret, f"{name}.{until}".encode(), hashlib.sha256).hexdigest()
