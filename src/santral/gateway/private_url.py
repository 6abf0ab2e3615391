"""Addresses in requests that a provider would fetch: none may point into a private network.

The gateway fetches nothing itself, but an engine beside it would: a caller could read what only
that machine can reach (a cloud's metadata service, a database's status page). Names are not looked
up: what a name means is decided where it is fetched, and may change in between.
Source of the tricks: https://portswigger.net/web-security/ssrf/url-validation-bypass-cheat-sheet
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Raw

from santral.errors import BadRequest
from santral.gateway.context import RequestContext
from santral.web.address import why_private_host
from santral.wire.chat import ChatCall

#: How fields end that hold an address, in any dialect's spelling: image_url, fileUri, server_url; in
#: small letters, as engines written in Go take fields in any. Source: encoding/json, Unmarshal.
_URL_ENDINGS = ("url", "uri", "file_data")
#: Schemes that a provider resolves by its own account, not on its network.
_STORES = frozenset({"data", "gs", "s3"})
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
#: Characters that clients take out of an address before they follow it, wherever they stand: controls
#: and spaces, and those nobody sees. Source: https://url.spec.whatwg.org/#concept-basic-url-parser
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\xa0\xad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]")
_UNWRITABLE = re.compile(rf"{_UNSEEN.pattern}|\\")
#: What stands in no id of a file and in no base64.
_PATH = re.compile(r"[.\\~:]")
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
    """Return what may name an address: messages that hold parts, tools of providers, and what its
    dialect alone knows. A part of text may hold an address beside it, so it is looked at, too."""
    found: list[Any] = []
    for number, message in enumerate(call.view.messages):
        if isinstance(message.content, list):
            found.append(call.messages[number])
    if "tools" in call.fields:
        found += _tools_of_providers(call.fields["tools"])
    if call.native:
        found += call.native.values()
    return found


def _tools_of_providers(tools: Raw) -> list[Any]:
    """Return the tools that a provider calls itself; a function's schema may say ``url`` as it likes."""
    if not _names_url(bytes(tools)):
        return []
    entries = msgspec.json.decode(tools)
    if not isinstance(entries, list):
        return []
    return [tool for tool in cast("list[Any]", entries) if not _is_function(tool)]


def _is_function(tool: Any) -> bool:
    return isinstance(tool, dict) and cast("dict[str, Any]", tool).get("type") in _OWN_TOOLS


_OWN_TOOLS = ("function", "custom")


#: Parts nested deeper than this are refused as malformed before they come here. Chosen.
_MAX_DEPTH = 64


def _urls(value: Any, name: str, depth: int) -> Iterator[str]:
    """Yield every text that stands in a field for addresses."""
    if isinstance(value, Raw):
        if not _may_hold_url(bytes(value)):
            return
        value = msgspec.json.decode(value)
    if isinstance(value, str):
        if name.endswith(_URL_ENDINGS) and not value[:5].lower().startswith(_DATA):
            yield value
    elif depth < _MAX_DEPTH and isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield from _urls(inner, key.lower(), depth + 1)
    elif depth < _MAX_DEPTH and isinstance(value, list):
        holds_urls = name.endswith(_URL_ENDINGS)
        for inner in cast("list[Any]", value):
            if holds_urls or isinstance(inner, dict | list):  # a million texts are stepped over
                yield from _urls(inner, name, depth + 1)


def _may_hold_url(raw: bytes) -> bool:
    """Whether a name that ends in ``_URL_ENDINGS`` may be in there; an escaped letter counts as yes."""
    # Reading something long is faster than looking through it: it is a picture.
    return len(raw) > _LONG or _names_url(raw)


def _names_url(raw: bytes) -> bool:
    small = raw.lower()
    return b'url"' in small or b'uri"' in small or b'file_data"' in small or b"\\u" in small


#: Longest address, and least size of what is content rather than an address. Chosen: signed addresses
#: have some 2 kB; looked at whole, 6 MB would take a tenth of a second.
_LONG = 16 * 1024


def why_private(url: str) -> str:
    """Return why an address is not on the public internet, as the end of a sentence; or nothing."""
    text = unicodedata.normalize("NFKC", url[:_LONG].strip())
    seen = _UNSEEN.sub("", text)
    if len(url) > _LONG and len(seen) < _LONG // 2:
        return "begins with characters that servers read differently"
    scheme = _SCHEME.match(seen)
    if scheme is None and not seen.startswith("//"):
        if _PATH.search(seen):
            return "is no whole address: it may be a path or a host without its scheme"
        return ""  # a file id or base64: no address
    name = scheme.group(1).lower() if scheme else "https"
    if name in _STORES:
        return ""
    if len(url) > _LONG:
        return "is longer than any address"
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
    return why_private_host(unquote(host or "").lower().rstrip("."))
