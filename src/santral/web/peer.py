"""Who is at the other end of a connection, also behind proxies that are trusted to say so."""

from __future__ import annotations

from collections.abc import Iterable

from santral.config.network import Address, Network, parse_address, parse_network


class Networks:
    """Some networks, to look addresses up in."""

    __slots__ = ("_networks", "_texts")

    def __init__(self, texts: Iterable[str]) -> None:
        """Read networks that were checked when they were written down."""
        self._networks: tuple[Network, ...] = tuple(map(parse_network, texts))
        self._texts = tuple(map(str, self._networks))

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: Address | None) -> bool:
        return address is not None and any(
            address.version == network.version and address in network for network in self._networks
        )

    def __str__(self) -> str:
        return ", ".join(self._texts)


#: No proxy is trusted: what a client says of itself is not believed.
NOBODY = Networks(())


def peer_address(
    connected: str | None, forwarded: Iterable[str], trusted: Networks
) -> Address | None:
    """Return the address that a request came from, or None where nobody can tell.

    ``connected`` is the socket's other end, ``forwarded`` the lines of X-Forwarded-For in their
    order. They are read from the right, through hops that are trusted, to the first that is not:
    what stands left of it is the client's own claim.
    """
    try:
        address = parse_address(connected or "")
        for hop in reversed([hop for line in forwarded for hop in line.split(",")]):
            if address not in trusted:
                return address
            address = parse_address(hop)
    except ValueError:
        return None
    return address
