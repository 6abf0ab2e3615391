"""What a conversation is made of, for dialects whose messages are blocks: typed, each with its place.

``path`` is where a block stands in the chat form of the request: ``messages.2.content.0``. It is the
name under which ``call.losses`` notes that a dialect cannot say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Raw, Struct, field

from santral.wire.delta import ReasoningDetail

Role: TypeAlias = Literal["user", "assistant", "system"]


class Text(Struct, frozen=True, kw_only=True):
    """A text; ``extras`` are fields only Anthropic knows (``citations``)."""

    text: str
    path: str = ""
    cache_control: Raw | None = None
    extras: Mapping[str, Raw] = field(default_factory=dict[str, Raw])


class Image(Struct, frozen=True, kw_only=True):
    """An image: either ``url``, or ``media_type`` and base64 ``data``, or ``file_id``."""

    url: str = ""
    media_type: str = ""
    data: str = ""
    file_id: str = ""
    detail: str = ""
    path: str = ""
    cache_control: Raw | None = None


class Audio(Struct, frozen=True, kw_only=True):
    """A sound: ``format`` as OpenAI names it (``wav``, ``mp3``), ``data`` in base64."""

    format: str
    data: str
    path: str = ""
    cache_control: Raw | None = None


class File(Struct, frozen=True, kw_only=True):
    """A document: ``media_type`` and base64 ``data``, or ``url``, or ``file_id``.

    ``extras`` are fields only Anthropic knows (``title``, ``context``, ``citations``).
    """

    filename: str = ""
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    path: str = ""
    cache_control: Raw | None = None
    extras: Mapping[str, Raw] = field(default_factory=dict[str, Raw])


class ToolUse(Struct, frozen=True, kw_only=True):
    """A call of a tool that the model made; ``arguments`` as it wrote them: JSON, or plain text if custom."""

    id: str
    name: str
    arguments: str
    signature: str = ""
    kind: Literal["function", "custom"] = "function"
    path: str = ""
    cache_control: Raw | None = None


class ToolResult(Struct, frozen=True, kw_only=True):
    """What a tool answered; ``name`` is that of the tool, where its call is in the conversation."""

    call_id: str
    blocks: tuple[Block, ...]
    is_error: bool = False
    name: str = ""
    path: str = ""
    cache_control: Raw | None = None

    @property
    def text(self) -> str:
        """All its text, blocks joined by line feeds."""
        return "\n".join(block.text for block in self.blocks if isinstance(block, Text))


class Thinking(Struct, frozen=True, kw_only=True):
    """One piece of a model's reasoning: its text, and what its vendor wants back with it.

    Without a ``detail`` it is text that no vendor vouched for; an ``encrypted`` one has no text.
    """

    text: str = ""
    detail: ReasoningDetail | None = None
    path: str = ""


class Native(Struct, frozen=True, kw_only=True):
    """A block only ``dialect`` knows, as JSON; a provider of another dialect notes it as lost."""

    dialect: str
    json: Raw
    path: str = ""


Block: TypeAlias = Text | Image | Audio | File | ToolUse | ToolResult | Thinking | Native


class Turn(Struct, frozen=True, kw_only=True):
    """What one side said."""

    role: Role
    blocks: tuple[Block, ...]
    path: str = ""


def text_of(blocks: tuple[Block, ...]) -> str:
    """Return the text of ``blocks``, joined by line feeds."""
    return "\n".join(block.text for block in blocks if isinstance(block, Text) and block.text)
