"""The exact cache: an equal request of the same tenant gets the answer that was given before.

The key is a hash over the whole request as it goes upstream, so a field nobody thought of still
makes a miss. Left out are the few fields that cannot change what a model says (``NON_SEMANTIC``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Context, Decimal
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from santral.wire.delta import Delta

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

#: Ends of an answer that may be served again. A filtered answer may not: the filter may change.
CACHEABLE_ENDS = frozenset({"stop", "length", "tool_calls", "function_call"})

#: Memory of an entry beside its texts: measured with sys.getsizeof, rounded up.
_DELTA_BYTES = 400
_ENTRY_BYTES = 300

#: Decoded with numbers exact: 1.0 and 1 are one request, 0.1 and 0.10 too, 2**70 and 2**70 + 1 not.
_decode = msgspec.json.Decoder(float_hook=lambda text: _number(text)).decode
_encode = msgspec.json.Encoder().encode
_canonical = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode


class CachedAnswer(Struct, frozen=True):
    """What was sent: the deltas in order, whole or of a stream, with usage."""

    deltas: tuple[Delta, ...]

    @property
    def size_bytes(self) -> int:
        """About how much memory the answer takes."""
        return _ENTRY_BYTES + sum(_size(delta) for delta in self.deltas)

    @property
    def is_servable(self) -> bool:
        """Whether the answer came to its natural end and refuses nothing."""
        ends: dict[int, str | None] = {}
        for delta in self.deltas:
            for choice in delta.choices:
                if choice.refusal:
                    return False
                ends[choice.index] = choice.finish_reason or ends.get(choice.index)
        return bool(ends) and all(end in CACHEABLE_ENDS for end in ends.values())


def cache_key(
    *,
    tenant_id: str,
    route: str,
    policy: str,
    prompt: str,
    fields: Mapping[str, Any],
    index: str = "",
) -> bytes:
    """Return the key of a request: 32 bytes that change with any part of it.

    ``policy`` is the digest of the guardrail policy, ``prompt`` name and version, ``index`` the
    generation of the search index; retrieved passages are in ``fields`` as messages. The order of
    object keys and the spelling of numbers and strings (0.5 or 5e-1, ``é`` or ``\\u00e9``) do not
    matter; composed and decomposed letters differ, as they do for a model.
    """
    semantic = {name: fields[name] for name in fields if name not in NON_SEMANTIC}
    request = _encode(semantic)
    # What cannot be read in is hashed as it stands: at worst a miss.
    with suppress(msgspec.DecodeError, ArithmeticError, RecursionError):
        request = _canonical(_decode(request))
    # SHA-256 and not BLAKE2b: with the processor's own instructions it takes 63 us for 54 kB, not 102.
    digest = sha256(_encode((tenant_id, route, policy, prompt, index)))
    digest.update(b"\0")
    digest.update(request)
    return digest.digest()


class ExactCache:
    """Answers by key, least recently used out first, bounded in bytes; ``clock`` in seconds."""

    def __init__(self, max_bytes: int, clock: Callable[[], float]) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self.size_bytes = 0
        self.hits = 0
        self.misses = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> CachedAnswer | None:
        """Return the answer kept under ``key``, if it is still fresh."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        if entry.expires_at <= self._clock():
            self._drop(key)
            self.misses += 1
            return None
        self._entries.move_to_end(key)
        self.hits += 1
        return entry.answer

    def put(self, key: bytes, answer: CachedAnswer, ttl_s: float) -> bool:
        """Keep an answer for ``ttl_s`` seconds; False where it may not be served again.

        Not kept: answers that were cut, filtered or refused, and one larger than the whole cache.
        """
        size = answer.size_bytes
        if not answer.is_servable or size > self._max_bytes:
            return False
        self._drop(key)
        self._entries[key] = _Entry(answer, self._clock() + ttl_s, size)
        self.size_bytes += size
        while self.size_bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))
            self.evictions += 1
        return True

    def clear(self) -> None:
        """Forget every answer."""
        self._entries.clear()
        self.size_bytes = 0

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size_bytes -= entry.size_bytes


class _Entry(Struct, frozen=True):
    answer: CachedAnswer
    expires_at: float
    size_bytes: int


def _number(text: str) -> int | float | Decimal:
    """Return one value for every spelling of a number, and different ones for different numbers."""
    exact = Decimal(text)
    if exact == exact.to_integral_value() and abs(exact) < 10**15:
        return int(exact)
    return exact.normalize(Context(prec=len(text)))  # the default would round to 28 digits


def _size(delta: Delta) -> int:
    size = _DELTA_BYTES + len(delta.raw)
    for choice in delta.choices:  # a loop: two sums in each other take three times as long
        size += len(choice.text) + len(choice.reasoning)
        for call in choice.tool_calls:
            size += len(call.arguments)
    return size
