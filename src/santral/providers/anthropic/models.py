"""What a model takes of Anthropic's protocol, told from its name: versions differ in a few fields.

Models that are not Claude (engines and vendors that imitate the protocol) take the oldest form.
Sources, as of 2026-11: platform.claude.com, "Migration guide" (sampling parameters and thinking
budgets refused from Opus 4.7 on), "Effort", "Structured outputs", "Mid-conversation system messages".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, TypeAlias

from msgspec import Struct

Effort: TypeAlias = Literal["low", "medium", "high", "xhigh", "max"]

#: A version after all that are known: a Claude whose name has none is a new one.
_NEWEST = (99, 0)


class Abilities(Struct, frozen=True, kw_only=True):
    """Which forms of a request a model takes."""

    samples: bool  # temperature, top_p, top_k
    samples_once: bool  # but not temperature and top_p together
    is_adaptive: bool  # thinks as much as it wants; budgets are older
    efforts: tuple[Effort, ...]  # of output_config.effort, ascending; none: it has no such field
    has_output_format: bool  # output_config.format with a JSON Schema
    has_system_turns: bool  # messages of the role system


@lru_cache(maxsize=1024)
def abilities_of(model: str) -> Abilities:
    """Return what ``model`` takes."""
    if "claude" not in model.lower():
        return Abilities(
            samples=True,
            samples_once=False,
            is_adaptive=False,
            efforts=(),
            has_output_format=False,
            has_system_turns=False,
        )
    family, version = _read(model.lower())
    return Abilities(
        samples=version < (4, 7),
        samples_once=version >= (4, 1),
        is_adaptive=version >= (4, 6),
        efforts=_efforts(family, version),
        has_output_format=version >= (4, 5) or (family, version) == ("opus", (4, 1)),
        has_system_turns=version >= (4, 8),
    )


def _efforts(family: str, version: tuple[int, int]) -> tuple[Effort, ...]:
    if version >= (4, 7):
        return ("low", "medium", "high", "xhigh", "max")
    if version >= (4, 6):
        return ("low", "medium", "high", "max")
    return ("low", "medium", "high") if (family, version) == ("opus", (4, 5)) else ()


#: claude-opus-4-8, claude-sonnet-5, claude-haiku-4-5-20251001, claude-3-7-sonnet-20250219; dates have
#: eight digits and are no version.
_NEW = re.compile(r"claude-([a-z]+)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_OLD = re.compile(r"claude-(\d)(?:[-.](\d{1,2}))?(?!\d)")


def _read(model: str) -> tuple[str, tuple[int, int]]:
    found = _NEW.search(model)
    if found is not None:
        return found[1], (int(found[2]), int(found[3] or 0))
    old = _OLD.search(model)
    return "", (int(old[1]), int(old[2] or 0)) if old is not None else _NEWEST
