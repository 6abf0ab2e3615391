"""Networks as people write them: ``10.0.0.0/8``, ``2001:db8::/32``, a single address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

#: ``::ffff:0:0/96``: IPv4 written as IPv6. Source: RFC 4291, section 2.5.5.2.
_MAPPED = IPv6Network("::ffff:0:0/96")


def parse_network(text: str) -> Network:
    """Return the network that ``text`` names; IPv4 written as IPv6 comes back as IPv4.

    Raises:
        ValueError: it names none; the message says what to write instead.
    """
    plain = text.strip()
    try:
        network = ip_network(plain)
    except ValueError:
        raise ValueError(f"'{plain[:64]}' is no network. {_remedy(plain)}") from None
    if not isinstance(network, IPv6Network):
        return network
    if network.subnet_of(_MAPPED):
        mapped = int(network.network_address) & 0xFFFFFFFF
        return IPv4Network((mapped, network.prefixlen - _MAPPED.prefixlen))
    if network.network_address.scope_id is not None:
        raise ValueError(f"'{plain[:64]}' names an interface. Write the network without '%'.")
    return network


def parse_address(text: str) -> Address:
    """Return an address without the port that some proxies add; IPv4 written as IPv6 as IPv4.

    Raises:
        ValueError: it is no address.
    """
    plain = text.strip()
    if plain.startswith("["):  # [2001:db8::1]:443
        plain = plain[1:].partition("]")[0]
    elif plain.count(":") == 1:  # 203.0.113.7:443
        plain = plain.partition(":")[0]
    address = ip_address(plain)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _remedy(plain: str) -> str:
    try:
        meant = ip_network(plain, strict=False)
    except ValueError:
        return "Write one as 10.0.0.0/8, 2001:db8::/32, or as a single address."
    return f"Bits are set behind its length: did you mean {meant}?"
