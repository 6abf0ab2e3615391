"""The key of a request: a hash over the whole of it, as it goes upstream.

A field nobody thought of still makes a miss. Left out are the few fields that cannot change what a
model says (``NON_SEMANTIC``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Context, Decimal
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

#: Fields that say how an answer travels or who is behind it, never what it says. Everything else
#: is part of the key, known or unknown. Source: OpenAI's API reference, chat completions.
NON_SEMANTIC = frozenset(
    {
        "stream",  # a whole answer serves a stream and the other way round
        "stream_options",
        "user",  # for abuse reports; the tenant is part of the key anyway
        "safety_identifier",
        "metadata",  # labels of stored completions
        "store",
        "prompt_cache_key",  # where the provider looks for its own cache
        "prompt_cache_retention",
        "santral",  # what of it matters has become messages, prompt version and collection
    }
)

#: Decoded with numbers exact: 1.0 and 1 are one request, 0.1 and 0.10 too, 2**70 and 2**70 + 1 not.
_decode = msgspec.json.Decoder(float_hook=lambda text: _number(text)).decode
_encode = msgspec.json.Encoder().encode
_canonical = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode


class Scope(Struct, frozen=True, kw_only=True):
    """What an answer belongs to beside its request: nothing crosses from one scope to another.

    ``policy`` is the digest of the guardrail policy and of the schema that answers must match,
    ``prompt`` name and version, ``config`` the digest of the configuration (another one may mean
    another model or cap), ``index`` the search index and its generation, ``groups`` whose documents
    the caller sees, ``cap`` the most output tokens that a limit leaves.
    """

    tenant_id: str
    route: str
    policy: str = ""
    prompt: str = ""
    config: str = ""
    index: str = ""
    groups: str = ""
    cap: int | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """Everything that must be equal."""
        cap = "" if self.cap is None else str(self.cap)
        return (
            self.tenant_id,
            self.route,
            self.policy,
            self.prompt,
            self.config,
            self.index,
            self.groups,
            cap,
        )


def cache_key(
    scope: Scope,
    fields: Mapping[str, Any],
    native: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return the key of a request: 32 bytes that change with any part of it.

    ``fields`` are the chat form with messages, retrieved passages among them; ``native`` what only
    the caller's dialect knows, ``headers`` those of the caller that a provider is told. The order of
    object keys and the spelling of numbers and strings (0.5 or 5e-1, ``é`` or ``\\u00e9``) do not
    matter; composed and decomposed letters differ, as they do for a model.
    """
    semantic = {name: fields[name] for name in fields if name not in NON_SEMANTIC}
    # SHA-256 and not BLAKE2b: with the processor's own instructions it takes 63 us for 54 kB, not 102.
    digest = sha256(_encode(scope.parts))
    digest.update(b"\0")
    digest.update(_canonically(semantic))
    if native or headers:
        digest.update(b"\0")
        digest.update(_canonically((native or {}, headers or {})))
    return digest.digest()


def partition_key(
    scope: Scope,
    fields: Mapping[str, Any],
    others: Sequence[Any],
    native: Mapping[str, Any],
    headers: Mapping[str, str],
) -> bytes:
    """Return the key of everything in a request but its last question.

    ``others`` are the messages before that question: two requests may be compared by meaning only
    where this key is equal.
    """
    return cache_key(scope, {**fields, "messages": others}, native, {"": "semantic", **headers})


def _canonically(value: object) -> bytes:
    request = _encode(value)
    # What cannot be read in is hashed as it stands: at worst a miss.
    with suppress(msgspec.DecodeError, ArithmeticError, RecursionError):
        return _canonical(_decode(request))
    return request


def _number(text: str) -> int | float | Decimal:
    """Return one value for every spelling of a number, and different ones for different numbers."""
    exact = Decimal(text)
    if exact == exact.to_integral_value() and abs(exact) < 10**15:
        return int(exact)
    return exact.normalize(Context(prec=len(text)))  # the default would round to 28 digits
