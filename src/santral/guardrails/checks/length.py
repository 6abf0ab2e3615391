"""Length in estimated tokens, of what goes in and of what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from santral.guardrails.check import Inspection
from santral.guardrails.verdict import NOTHING_FOUND, Action, Finding
from santral.wire.usage import estimate_tokens


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of ``length``: tokens at most, all texts together, and at least."""

    max_tokens: Annotated[int, Meta(ge=1)] = 8192
    min_tokens: Annotated[int, Meta(ge=0)] = 0


class Length:
    """Counts tokens; the estimate errs on the high side (``wire.usage``)."""

    Params: ClassVar[type[Struct]] = Params
    places: ClassVar[frozenset[str]] = frozenset({"input", "retrieved", "output"})
    actions: ClassVar[tuple[Action, ...]] = ("refuse", "report", "retry")
    only_patterns = False
    patterns: Mapping[str, str] = {}

    def __init__(self, params: Params) -> None:
        self._params = params

    @property
    def reads_whole(self) -> bool:
        """Only a lower bound needs the end of a stream."""
        return self._params.min_tokens > 0

    async def __call__(self, looked: Inspection) -> Finding:
        return self.judge(sum(map(estimate_tokens, looked.texts)), is_whole=True)

    def judge(self, tokens: int, *, is_whole: bool) -> Finding:
        """Return a finding when so many tokens are too many, or too few of a whole text."""
        most, least = self._params.max_tokens, self._params.min_tokens
        if tokens > most:
            return Finding(1, f"about {tokens} tokens, at most {most} are allowed")
        if is_whole and tokens < least:
            return Finding(1, f"about {tokens} tokens, at least {least} are expected")
        return NOTHING_FOUND
