"""One provider kind: its dialect, where it is, and its quirks as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field


class Vendor(Struct, frozen=True, kw_only=True):
    """One provider kind. An OpenAI-compatible one is a row; another dialect is a file and a row."""

    kind: str
    title: str
    dialect: str = "openai"  # a name in registry.DIALECTS
    base_url: str = ""  # empty: the configuration has to say it
    auth: Literal["bearer", "optional", "none", "own"] = "bearer"  # own: its dialect knows how
    asks_usage: bool = True  # takes stream_options.include_usage; others send usage unasked
    renames: Mapping[str, str] = field(default_factory=dict[str, str])  # our field name -> its own
    needs_question: bool = False  # answers the question itself, and is given it apart
    output_limit: str = "max_tokens"  # the field that bounds the output where a client sets none
