"""The body of a request: read whole within a size and a time, or refused."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping

from santral.errors import BadRequest, TooLarge, UnsupportedMedia
from santral.gateway.attendance import ClientLeft, Receive


async def read_body(receive: Receive, headers: dict[bytes, bytes], max_bytes: int) -> bytes:
    """Return the whole body, out of gzip; how long that may take is the attendance's business.

    Raises:
        TooLarge: it is, or says that it is, or holds when it is unpacked, over ``max_bytes``.
        BadRequest: it is compressed in another way, or is no gzip although it says so.
        ClientLeft: the connection closed before its end.
    """
    encoding = headers.get(b"content-encoding")
    encoding = b"" if encoding is None else encoding.strip().lower()
    if encoding in (b"", b"identity"):
        return await _read(receive, headers, max_bytes)
    if encoding not in (b"gzip", b"x-gzip"):
        raise BadRequest(
            f"content-encoding '{encoding.decode('latin-1')[:64]}' is not taken; send the body as it "
            "is, or as gzip.",
            code="unsupported_encoding",
        )
    packed = await _read(receive, headers, max_bytes)
    if len(packed) <= ON_LOOP_BYTES:
        return _unpacked(packed, max_bytes)
    return await asyncio.to_thread(_unpacked, packed, max_bytes)


#: Compressed bodies longer than this are unpacked beside the event loop. Chosen: less than a
#: millisecond, unless it is a bomb: that takes what max_bytes takes, 20 ms for 8 MB.
ON_LOOP_BYTES = 4096


#: Members of one gzip body. Chosen: writers make one; what follows each is copied, so that 8 MB of
#: empty ones would keep a thread for minutes.
MAX_MEMBERS = 64


def _unpacked(packed: bytes, max_bytes: int) -> bytes:
    """Return what a gzip body holds, never more than ``max_bytes`` of it."""
    parts: list[bytes] = []
    size = 0
    while packed:  # a gzip body may have several members
        if len(parts) == MAX_MEMBERS:
            raise _no_gzip()
        engine = zlib.decompressobj(wbits=31)
        try:
            part = engine.decompress(packed, max_bytes - size + 1)
        except zlib.error:
            raise _no_gzip() from None
        size += len(part)
        if size > max_bytes:
            raise _too_large(max_bytes)
        if not engine.eof:
            raise _no_gzip()
        parts.append(part)
        packed = engine.unused_data
    return b"".join(parts)


def _no_gzip() -> BadRequest:
    return BadRequest(
        "The body is not whole gzip, although its content-encoding says so. Send it as it is, or "
        "compress all of it.",
        code="unsupported_encoding",
    )


#: Content types that a JSON body may come under: curl's default among them, because what counts is
#: the body. Chosen.
_JSON_TYPES = ("text/", "application/x-www-form-urlencoded")


def require_json(headers: Mapping[bytes, bytes]) -> None:
    """Refuse a body that says it is no JSON.

    Raises:
        UnsupportedMedia: a form with files, a picture, XML and the like.
    """
    said = headers.get(b"content-type", b"")
    if said == b"application/json":
        return
    kind = said.decode("latin-1").partition(";")[0].strip().lower()
    if kind in ("", "application/json") or kind.endswith("+json") or kind.startswith(_JSON_TYPES):
        return
    raise UnsupportedMedia(
        f"This endpoint takes JSON, and the body is '{kind[:64]}'. Send content-type: "
        "application/json."
    )


async def _read(receive: Receive, headers: Mapping[bytes, bytes], max_bytes: int) -> bytes:
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > max_bytes:
        raise _too_large(max_bytes)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.request" and not message.get("more_body"):
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
        return body
    parts, size = [body], len(body)
    while message["type"] == "http.request" and message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > max_bytes:
            raise _too_large(max_bytes)
    if message["type"] != "http.request":
        raise ClientLeft
    return b"".join(parts)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than {max_bytes} bytes (server.max_body_bytes). Send less, or ask the "
        "operator to raise the limit."
    )
