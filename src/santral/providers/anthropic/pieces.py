"""The pieces that a content block of Anthropic's comes in, and what an open block does with them.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from typing import Protocol

import msgspec
from msgspec import Raw, Struct

from santral.wire.delta import ChoiceDelta
from santral.wire.messages import NONE


class OpenBlock(Protocol):
    """A block between its start and its stop."""

    @property
    def is_text(self) -> bool: ...

    @property
    def is_call(self) -> bool: ...

    @property
    def is_silent(self) -> bool:
        """Whether it may take long without a piece."""
        ...

    def opening(self) -> list[ChoiceDelta]: ...

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        """Return what a ``content_block_delta`` adds."""
        ...

    def closing(self) -> list[ChoiceDelta]: ...


class BlockCaller(Struct, frozen=True):
    """Who called a tool: the model itself, or a tool of the provider."""

    type: str = "direct"


class BlockStart(Struct, frozen=True):
    """``content_block`` of a start event, of any type."""

    type: str = ""
    text: str | None = None
    citations: list[Raw] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str = ""
    name: str = ""
    input: Raw = NONE
    caller: BlockCaller | None = None
    toolset_name: str | None = None


class Piece(Struct, frozen=True):
    """``delta`` of a block, of any type."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: Raw = NONE


read_start = msgspec.json.Decoder(BlockStart).decode
read_piece = msgspec.json.Decoder(Piece).decode
