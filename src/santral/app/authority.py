"""Says who administers, by the key or token in a header, and whether their roles allow what they ask for."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from fastapi import Request

from santral.config.schema import Config
from santral.db.engine import Engine, reading
from santral.tenants.keyring import presented_key
from santral.tenants.oidc.admit import recognise
from santral.tenants.permission import Action, Principal
from santral.tenants.principal import key_principal
from santral.web.peer import Networks, peer_address

if TYPE_CHECKING:  # it needs the extra 'sso'
    from santral.tenants.oidc.flow import SignIn

#: How every signed token begins: ``{"`` in base 64.
_TOKEN = "eyJ"  # noqa: S105 - a beginning


class Authority:
    """Makes the dependencies of endpoints: ``Depends(authority("keys.write"))``."""

    def __init__(
        self,
        engine: Engine,
        config: Config,
        clock: Callable[[], float] = time.time,
        sign_in: SignIn | None = None,
    ) -> None:
        self._engine = engine
        self._sign_in = sign_in
        self._clock = clock
        self._trusted = Networks(config.server.trusted_proxies)

    def __call__(self, action: Action) -> Callable[..., Awaitable[Principal]]:
        """Return the dependency of an endpoint that does ``action``; a test asks for its name."""

        async def authorised(request: Request) -> Principal:
            principal = await self.principal(request)
            principal.require_somewhere(action)
            return principal

        # A plain function, since FastAPI cannot resolve the hints of an object that is called.
        authorised.action = action  # type: ignore[attr-defined]
        return authorised

    async def principal(self, request: Request) -> Principal:
        """Return who makes ``request``.

        Raises:
            Unauthenticated: no key or token, or one that is not valid.
            NotAllowed: it administers nothing, or not from there.
            SignInUnavailable: a token came whose issuer does not answer.
        """
        headers = request.headers
        key = presented_key(headers.get("authorization", ""), headers.get("x-api-key", ""))
        if self._sign_in is not None and key.startswith(_TOKEN):
            identity = await self._sign_in.bearer(key)
            return await recognise(self._engine, identity, self.origin(request))
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
