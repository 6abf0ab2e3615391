"""Says who administers, by the key in a header, and whether their roles allow what they ask for."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable

from fastapi import Request

from santral.config.schema import Config
from santral.db.engine import Engine, reading
from santral.tenants.keyring import presented_key
from santral.tenants.permission import Action, Principal
from santral.tenants.principal import key_principal
from santral.web.peer import Networks, peer_address


class Authority:
    """Makes the dependencies of endpoints: ``Depends(authority("keys.write"))``."""

    def __init__(
        self, engine: Engine, config: Config, clock: Callable[[], float] = time.time
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._trusted = Networks(config.server.trusted_proxies)

    def __call__(self, action: Action) -> Callable[..., Awaitable[Principal]]:
        """Return the dependency of an endpoint that does ``action``; a test asks for its name."""

        async def authorised(request: Request) -> Principal:
            principal = await self.principal(request)
            principal.require_somewhere(action)
            return principal

        authorised.action = action  # type: ignore[attr-defined]
        return authorised

    async def principal(self, request: Request) -> Principal:
        """Return who makes ``request``.

        Raises:
            Unauthenticated: no key, or one that is not valid.
            NotAllowed: the key administers nothing, or not from there.
        """
        headers = request.headers
        key = presented_key(headers.get("authorization", ""), headers.get("x-api-key", ""))
        return await self.identify(key, self.origin(request))

    async def identify(self, key: str, origin: str) -> Principal:
        """Return the administrator who holds ``key`` and asks from the address ``origin``.

        Raises:
            Unauthenticated: no key, or one that is not valid.
            NotAllowed: the key administers nothing, or not from there.
        """
        async with reading(self._engine) as conn:
            return await key_principal(conn, key, origin, self._clock())

    def origin(self, request: Request) -> str:
        """Return the address that a request comes from, as the audit log keeps it."""
        connected = request.client.host if request.client else None
        forwarded: Iterable[str] = request.headers.getlist("x-forwarded-for")
        return str(peer_address(connected, forwarded, self._trusted) or "unknown")
