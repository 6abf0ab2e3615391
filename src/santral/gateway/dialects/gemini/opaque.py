"""What Gemini's clients carry back unread: signatures, Google's own and, sealed, other vendors'.

The official SDKs hold a signature as bytes and spell them anew as URL-safe base64; so Google's come
back in another alphabet, and what we seal has to be base64 itself. Source: google-genai 3.4,
``_common.encode_unserializable_types``.
"""

from __future__ import annotations

import base64

import msgspec
from msgspec import Struct

from santral.wire.delta import ReasoningDetail

#: What the bytes of a sealed detail begin with; the format's name and a dot follow.
PREFIX = b"santral."

_STANDARD = str.maketrans("-_", "+/")
_encode = msgspec.json.Encoder().encode


class Sealed(Struct, frozen=True, omit_defaults=True):
    """A detail of another vendor, and its text where the caller asked not to see thoughts."""

    type: str = "text"
    signature: str = ""
    data: str = ""
    id: str = ""
    text: str = ""
    format: str = ""


_sealed = msgspec.json.Decoder(Sealed)


def seal(detail: ReasoningDetail, text: str) -> str:
    """Return a ``thoughtSignature`` that brings the detail back."""
    kept = Sealed(detail.type, detail.signature, detail.data, detail.id, text)
    return base64.b64encode(PREFIX + detail.format.encode() + b"." + _encode(kept)).decode()


def unseal(signature: str) -> Sealed | None:
    """Return what was sealed, or None: the signature is Google's own."""
    try:
        data = base64.b64decode(standard(signature))
    except ValueError:  # not base64, or not even ASCII
        return None
    if not data.startswith(PREFIX):
        return None
    name, _, kept = data.removeprefix(PREFIX).partition(b".")
    try:
        return msgspec.structs.replace(_sealed.decode(kept), format=name.decode())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def standard(text: str) -> str:
    """Return base64 in the standard alphabet, padded: as Google and every other vendor write it."""
    text = text.translate(_STANDARD) if "-" in text or "_" in text else text
    return text + "=" * (-len(text) % 4)
