"""Addresses in requests that a provider would fetch: none may point into a private network.

The gateway fetches nothing itself, but an engine beside it would: a caller could read what only
that machine can reach (a cloud's metadata service, a database's status page). Names are not looked
up: what a name means is decided where it is fetched, and may change in between.
Source of the tricks: https://portswigger.net/web-security/ssrf/url-validation-bypass-cheat-sheet
"""

from __future__ import annotations

import re
import socket
import unicodedata
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Raw

from santral.errors import BadRequest
from santral.gateway.context import RequestContext
from santral.wire.chat import ChatCall

#: Fields of content parts, blocks and files that hold an address, in any dialect's spelling.
URL_FIELDS = frozenset(
    {
        "audio_url", "file_data", "file_uri", "file_url", "fileUri", "image_url", "uri", "url",
        "video_url",
    }
)  # fmt: skip
#: Schemes that a provider resolves by its own account, not on its network.
_STORES = frozenset({"data", "gs", "s3"})
#: Endings of names that no public name has. Source: RFC 6761, RFC 6762, RFC 8375, RFC 9476, and what
#: clouds and Kubernetes use.
_PRIVATE_ENDINGS = (
    ".alt", ".corp", ".home", ".home.arpa", ".internal", ".intranet", ".lan", ".local",
    ".localdomain", ".localhost", ".onion", ".private", ".svc", ".test",
)  # fmt: skip
#: An IPv4 address inside: NAT64, its local use, 6to4 and IPv4-compatible. Source: RFC 6052, RFC 8215,
#: RFC 3056, RFC 4291.
_EMBEDDING = {
    IPv6Network("64:ff9b::/96"): 0,
    IPv6Network("64:ff9b:1::/48"): 0,
    IPv6Network("2002::/16"): 80,
    IPv6Network("::/96"): 0,
}
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_UNWRITABLE = re.compile(r"[\x00-\x20\\\x7f]")
_DATA = "data:"


def refuse_private_urls(ctx: RequestContext, values: Iterable[Any]) -> None:
    """Refuse a request that names a private address in one of its parts.

    Raises:
        BadRequest: one does, and ``server.allow_private_urls`` is off.
    """
    if ctx.snapshot.config.server.allow_private_urls:
        return
    for value in values:
        for url in _urls(value, "", depth=0):
            reason = why_private(url)
            if reason:
                raise BadRequest(
                    f"The address '{url[:100]}' {reason}, and a provider may not be sent there. Send "
                    "the content itself as a data: URL, or ask the operator about "
                    "server.allow_private_urls.",
                    code="private_url",
                )


def url_values(call: ChatCall) -> list[Any]:
    """Return those messages of a call that hold more than text, and what its dialect alone knows."""
    found: list[Any] = []
    for number, message in enumerate(call.view.messages):
        content = message.content
        if isinstance(content, list) and any(part.type != "text" for part in content):
            found.append(call.messages[number])
    if call.native:
        found += call.native.values()
    return found


#: Parts nested deeper than this are refused as malformed before they come here. Chosen.
_MAX_DEPTH = 64


def _urls(value: Any, name: str, depth: int) -> Iterator[str]:
    """Yield every text that stands in a field for addresses."""
    if isinstance(value, Raw):
        if not _may_hold_url(bytes(value)):
            return
        value = msgspec.json.decode(value)
    if isinstance(value, str):
        if name in URL_FIELDS and not value[:5].lower().startswith(_DATA):
            yield value
    elif depth < _MAX_DEPTH and isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield from _urls(inner, key, depth + 1)
    elif depth < _MAX_DEPTH and isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _urls(inner, name, depth + 1)


def _may_hold_url(raw: bytes) -> bool:
    """Whether a field name of ``URL_FIELDS`` may be in there; an escaped letter counts as yes."""
    return any(mark in raw for mark in (b"ur", b"Ur", b"file_data", b"\\u"))


def why_private(url: str) -> str:
    """Return why an address is not on the public internet, as the end of a sentence; or nothing."""
    text = unicodedata.normalize("NFKC", url.strip())
    scheme = _SCHEME.match(text)
    if scheme is None and not text.startswith("//"):
        return ""  # a file id or base64: no address
    name = scheme.group(1).lower() if scheme else "https"
    if name in _STORES:
        return ""
    if name not in ("http", "https"):
        return f"begins with '{name}:'"
    if _UNWRITABLE.search(text):
        return "holds characters that servers read differently"
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        return "is no URL"
    if "@" in parts.netloc:
        return "holds a user name, behind which servers look for the host differently"
    return _why_private_host(unquote(host or "").lower().rstrip("."))


def _why_private_host(host: str) -> str:
    if not host:
        return "names no host"
    address = _address(host)
    if address is not None:
        return "" if is_public(address) else "is on a private network"
    # Punctuation that is no hyphen is no name: 127.0.0.1 in disguise, or two hosts in one.
    if re.search(r"[^\w.-]", host):
        return "holds characters that servers read differently"
    if "." not in host or host.endswith(_PRIVATE_ENDINGS):
        return "is a name of a private network"
    return ""


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """Read a host that is an address, in every spelling that resolvers take: 0x7f.1, 0177.1, 2130706433."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeEncodeError):
        return None


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is on the public internet, also the one that it carries inside."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or _embedded(address)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def _embedded(address: IPv6Address) -> IPv4Address | None:
    for network, shift in _EMBEDDING.items():
        if address in network:
            return IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return None
