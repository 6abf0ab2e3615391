"""Tokens of one call in disjoint classes: their sum is what was processed, none is counted twice."""

from __future__ import annotations

from msgspec import Struct


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Tokens by billing class. Providers disagree on what includes what; a dialect normalises.

    Source of the classes: docs/decisions/0004-usage-and-cost.md.
    """

    input_uncached: int = 0
    cache_read: int = 0
    cache_write: int = 0  # kept for five minutes, or for as long as the provider always keeps it
    output_text: int = 0
    reasoning: int = 0
    is_estimated: bool = False
    cache_write_1h: int = 0  # kept for an hour, at a higher price
    input_audio: int = 0
    input_image: int = 0
    output_audio: int = 0
    output_image: int = 0

    @property
    def input_tokens(self) -> int:
        return (
            self.input_uncached
            + self.cache_read
            + self.cache_write
            + self.cache_write_1h
            + self.input_audio
            + self.input_image
        )

    @property
    def output_tokens(self) -> int:
        return self.output_text + self.reasoning + self.output_audio + self.output_image

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def believed(self) -> Usage:
        """Return the usage without counts that cannot be, marked as estimated where it had some.

        A count below zero would pay money back, and one beyond any window fits into no ledger.
        """
        counts = [getattr(self, name) for name in CLASSES]
        if min(counts) >= 0 and max(counts) <= MOST_TOKENS:
            return self
        held = [min(max(count, 0), MOST_TOKENS) for count in counts]
        return Usage(**dict(zip(CLASSES, held, strict=True)), is_estimated=True)

    def plus(self, other: Usage) -> Usage:
        """Return the sum of two calls' usage (a corrective retry bills both)."""
        return Usage(
            **{name: getattr(self, name) + getattr(other, name) for name in CLASSES},
            is_estimated=self.is_estimated or other.is_estimated,
        )


#: The billing classes: every field of ``Usage`` that counts tokens.
CLASSES = tuple(name for name in Usage.__struct_fields__ if name != "is_estimated")
OUTPUT_CLASSES = ("output_text", "reasoning", "output_audio", "output_image")
INPUT_CLASSES = tuple(name for name in CLASSES if name not in OUTPUT_CLASSES)

#: Most tokens of one class in one call. Chosen: a thousand times the longest window.
MOST_TOKENS = 2**31

#: Bytes per token of common tokenizers on prose: English about 4.2, Turkish about 3. Chosen low,
#: so that an estimate used for admission errs on the high side.
BYTES_PER_TOKEN = 3.2


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of ``text`` from its UTF-8 length, in 40 ns and without a tokenizer."""
    size = len(text) if text.isascii() else len(text.encode())
    return int(size / BYTES_PER_TOKEN) + 1
