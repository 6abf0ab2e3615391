"""Which hosts are on the public internet: the one list, for whatever follows or passes on an address.

Source of the tricks: https://portswigger.net/web-security/ssrf/url-validation-bypass-cheat-sheet
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from santral.config.network import Address

#: Endings of names that no public name has. Source: RFC 6761, RFC 6762, RFC 8375, RFC 9476, and what
#: clouds and Kubernetes use.
_PRIVATE_ENDINGS = (
    ".alt", ".corp", ".home", ".home.arpa", ".internal", ".intranet", ".lan", ".local",
    ".localdomain", ".localhost", ".onion", ".private", ".svc", ".test",
)  # fmt: skip
#: An IPv4 address inside: NAT64, 6to4, IPv4-compatible and IPv4-translated. Source: RFC 6052,
#: RFC 3056, RFC 4291, RFC 2765.
_EMBEDDING = {
    IPv6Network("64:ff9b::/96"): 0,
    IPv6Network("2002::/16"): 80,
    IPv6Network("::/96"): 0,
    IPv6Network("::ffff:0:0:0/96"): 0,
}
#: Private as well, whatever Python's tables say: NAT64 of a local network, and site-local. Source:
#: RFC 8215, RFC 3879.
_LOCAL = (IPv6Network("64:ff9b:1::/48"), IPv6Network("fec0::/10"))


def why_private_host(host: str) -> str:
    """Return why a host is not on the public internet, as the end of a sentence; or nothing.

    ``host`` is in small letters, unquoted, without a dot at its end. Names are not looked up.
    """
    if not host:
        return "names no host"
    address = written_address(host)
    if address is not None:
        return "" if is_public(address) else "is on a private network"
    # Punctuation that is no hyphen is no name: 127.0.0.1 in disguise, or two hosts in one.
    if re.search(r"[^\w.-]", host):
        return "holds characters that servers read differently"
    if "." not in host or host.endswith(_PRIVATE_ENDINGS):
        return "is a name of a private network"
    return ""


def written_address(host: str) -> Address | None:
    """Read a host that is an address, in every spelling that resolvers take: 0x7f.1, 0177.1, 2130706433."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeEncodeError):
        return None


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet, also the one that it carries inside."""
    if isinstance(address, IPv6Address):
        if any(address in network for network in _LOCAL):
            return False
        inner = inner_address(address)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def inner_address(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 one carries inside, where it does."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    for network, shift in _EMBEDDING.items():
        if address in network:
            return IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return None
