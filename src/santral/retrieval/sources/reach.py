"""Where sources may be fetched from: the public internet, and networks that an administrator allowed.

What is judged is the address that the connection is made to: a name is looked up once, by us, and one
bad address among its answers refuses it.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv6Address, ip_address

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from santral.config.network import Address
from santral.errors import SourceUnreachable
from santral.retrieval.document import UnreadableError
from santral.web.address import inner_address, is_public, why_private_host, written_address
from santral.web.peer import NOBODY, Networks

#: Looks a name up: host and port to addresses as they are written.
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]

#: Longest address that is followed. Chosen: what browsers and servers take at least.
MAX_URL = 4096
#: Letters that parsers of addresses take out, turn round or read as another one: none is needed.
_ODD = re.compile(r"[\x00-\x20\x7f-\xa0\xad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\\]")
_ALLOW = "An administrator can allow its network: sources.allow_networks."


class AddressRefused(UnreadableError):
    """An address that nobody may be sent to."""


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name, as the machine resolves it."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Reach:
    """What may be asked."""

    def __init__(self, allowed: Networks = NOBODY, lookup: Lookup = system_lookup) -> None:
        self._allowed = allowed
        self._lookup = lookup

    def checked(self, text: str) -> URL:
        """Return an address that may be asked, as far as can be told before its name is looked up.

        Raises:
            AddressRefused: it may not; the message says why and what to do.
        """
        if len(text) > MAX_URL or _ODD.search(text):
            raise AddressRefused(
                f"the address '{text[:100]!r}' is too long or holds characters that servers read "
                "differently; write it in plain letters"
            )
        try:
            url = URL(text)
            host, port = url.host or "", url.port
        except ValueError:
            raise AddressRefused(f"'{text[:100]}' is no address of a page") from None
        if url.scheme not in ("http", "https") or not host or not port:
            raise AddressRefused(
                f"'{text[:100]}' does not begin with https:// or http:// and a host"
            )
        if url.raw_user is not None or url.raw_password is not None or "@" in url.raw_authority:
            raise AddressRefused(
                f"the address of {host} holds a user name; give secrets by reference instead"
            )
        self._require_host(host)
        return url

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Return the addresses behind a name, each one that may be connected to.

        Raises:
            AddressRefused: one of them is inside the network.
            SourceUnreachable: there is no such name, for now.
        """
        try:
            found = [ip_address(text.partition("%")[0]) for text in await self._lookup(host, port)]
        except (OSError, UnicodeError, ValueError) as error:
            raise SourceUnreachable(f"The name {host} is not known ({error}).") from None
        if not found:
            raise SourceUnreachable(f"The name {host} has no address.")
        for address in found:
            self.require(address, host)
        return found

    def require(self, address: Address, host: str) -> None:
        """Return where an address may be connected to; raises AddressRefused."""
        if not is_public(address) and not self._is_allowed(address):
            raise AddressRefused(f"{host} is inside the network ({address}). {_ALLOW}")

    def _is_allowed(self, address: Address) -> bool:
        inner = inner_address(address) if isinstance(address, IPv6Address) else None
        return address in self._allowed or inner in self._allowed

    def _require_host(self, host: str) -> None:
        plain = host.lower().rstrip(".")
        address = written_address(plain)
        if address is None:
            if not self._allowed and (reason := why_private_host(plain)):
                raise AddressRefused(f"{host[:100]} {reason}. {_ALLOW}")
            return
        if plain != str(address) and plain != address.exploded:
            raise AddressRefused(f"{host[:100]} is an odd way to write {address}; write it plainly")
        self.require(address, host)


class ReachResolver(AbstractResolver):
    """Gives a connection the addresses that were judged, and no others."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET6 if address.version == 6 else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._reach.addresses(host, port)
        ]

    async def close(self) -> None:
        """Hold nothing."""
