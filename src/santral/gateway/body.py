"""The body of a request: read whole within a size and a time, or refused."""

from __future__ import annotations

from santral.errors import BadRequest, TooLarge
from santral.gateway.attendance import ClientLeft, Receive


async def read_body(receive: Receive, headers: dict[bytes, bytes], max_bytes: int) -> bytes:
    """Return the whole body; how long that may take is the attendance's business.

    Raises:
        TooLarge: it is, or says that it is, over ``max_bytes``.
        BadRequest: it is compressed.
        ClientLeft: the connection closed before its end.
    """
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding != b"identity":
        raise BadRequest(
            f"content-encoding '{encoding.decode('latin-1')}' is not taken; send the body as it is.",
            code="unsupported_encoding",
        )
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
