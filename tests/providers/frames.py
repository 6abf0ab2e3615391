"""Frames of AWS's event stream, as Bedrock sends them."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One frame. Source: https://smithy.io/2.0/aws/amazon-eventstream.html"""
    packed = b"".join(
        bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value
        for name, value in ((n.encode(), v.encode()) for n, v in headers.items())
    )
    prelude = struct.pack(">II", 12 + len(packed) + len(payload) + 4, len(packed))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + packed + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event(kind: str, **fields: Any) -> bytes:
    """One event; like Bedrock's, its payload is padded with a field ``p``."""
    payload = json.dumps(fields | {"p": "abcdefghijklmnop"}, separators=(",", ":")).encode()
    return frame(
        {":event-type": kind, ":content-type": "application/json", ":message-type": "event"},
        payload,
    )


def exception(kind: str, **fields: Any) -> bytes:
    headers = {":exception-type": kind, ":content-type": "application/json"}
    return frame(headers | {":message-type": "exception"}, json.dumps(fields).encode())
