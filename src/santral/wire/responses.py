"""The OpenAI Responses protocol: its usage, its words, and what its clients carry back unread.

Source: https://platform.openai.com/docs/api-reference/responses and the types of the ``openai``
package, 3.54.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal

import msgspec
from msgspec import Struct

from santral.wire.delta import ReasoningDetail
from santral.wire.usage import Usage

#: The dialect's name in traces and in native blocks.
DIALECT = "responses"
#: Whose reasoning details go into reasoning items as they are.
OPENAI = "openai-responses-v1"
GOOGLE = "google-gemini-v1"

#: How the ``encrypted_content`` of a reasoning item begins that carries a detail of any vendor. The
#: items have ids of ours, by which clients refer to them, so OpenAI's own id is carried, too.
_SEAL = "santral."


class Opaque(Struct, frozen=True, omit_defaults=True):
    """What a vendor wants back unchanged; a ``call`` belongs to the tool call with that ``id``."""

    kind: Literal["text", "summary", "encrypted", "call"]
    format: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""


_opaque = msgspec.json.Decoder(Opaque)


def opaque_of(detail: ReasoningDetail) -> Opaque:
    return Opaque(detail.type, detail.format, detail.signature, detail.data, detail.id)


def seal(opaque: Opaque) -> str:
    """Return the ``encrypted_content`` that carries ``opaque`` through a client, byte for byte."""
    payload = base64.urlsafe_b64encode(msgspec.json.encode(opaque)).decode()
    return f"{_SEAL}{opaque.format or 'unknown'}.{payload}"


def is_sealed(encrypted: str) -> bool:
    """Whether ``seal`` made it."""
    return encrypted.startswith(_SEAL)


def unseal(encrypted: str, item_id: str) -> Opaque:
    """Return what ``seal`` was given; what OpenAI itself encrypted is its own detail.

    Raises:
        ValueError: it begins like ours and is not.
    """
    if not is_sealed(encrypted):
        return Opaque("encrypted", OPENAI, data=encrypted, id=item_id)
    payload = encrypted.rpartition(".")[2]
    try:
        return _opaque.decode(base64.b64decode(payload, altchars=b"-_", validate=True))
    except (binascii.Error, msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def responses_usage(usage: Usage) -> dict[str, Any]:
    """Return ``usage``: there the input includes cached and written, the output reasoning tokens."""
    written = usage.cache_write + usage.cache_write_1h
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": written,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total_tokens,
    }
