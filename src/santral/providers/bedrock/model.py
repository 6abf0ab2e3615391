"""What a model at Bedrock takes, told from its name: Converse is one API before many vendors.

Sources, as of 2026-11: docs.aws.amazon.com/bedrock/latest/userguide, "Supported models and model
features", "Structured outputs", "Prompt caching"; the refusals recorded in vercel/ai,
packages/amazon-bedrock (opus-4-7 and later refuse textFormat, Meta refuses toolChoice any).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, TypeAlias

from msgspec import Struct

Maker: TypeAlias = Literal["anthropic", "nova", "openai", "meta", "other"]

#: Makers whose models take no schema of an answer, and Claudes from before or after those that do.
_NO_SCHEMA = re.compile(
    r"amazon\.|meta\.|cohere\.|ai21\.|writer\.|deepseek\.r1|mistral\.(?:mi|pixtral)"
    r"|claude-(?:v|instant|2|3|opus-4-[01278]|opus-4-2|sonnet-4-2|opus-5|sonnet-5|haiku-5|fable)"
)
_NO_CHOICE = re.compile(r"meta\.|cohere\.|ai21\.|amazon\.titan|deepseek\.r1|claude-opus-5-5")


class Abilities(Struct, frozen=True, kw_only=True):
    """Which forms of a request a model takes."""

    maker: Maker
    has_schema: bool  # outputConfig.textFormat
    can_force: bool  # toolChoice any and tool
    has_cache: bool  # cachePoint


@lru_cache(maxsize=1024)
def abilities_of(model: str) -> Abilities:
    """Return what ``model`` takes: an id, an inference profile or an ARN that names it."""
    name = model.lower()
    makers: list[Maker] = [maker for mark, maker in _MAKERS if mark in name]
    maker: Maker = makers[0] if makers else "other"
    return Abilities(
        maker=maker,
        has_schema=_NO_SCHEMA.search(name) is None,
        can_force=_NO_CHOICE.search(name) is None,
        has_cache=maker in ("anthropic", "nova"),
    )


_MAKERS: tuple[tuple[str, Maker], ...] = (
    ("anthropic.", "anthropic"),
    ("amazon.nova", "nova"),
    ("openai.", "openai"),
    ("meta.", "meta"),
)
