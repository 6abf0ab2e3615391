"""What a provider yields and ``emit`` takes: one event of an answer, whole answers included."""

from __future__ import annotations

from msgspec import Struct, field

from santral.wire.usage import Usage


class ToolCallDelta(Struct, frozen=True):
    """A piece of one tool call; ``id`` and ``name`` come once, ``arguments`` in fragments."""

    index: int = 0
    id: str = ""
    name: str = ""
    arguments: str = ""


class ChoiceDelta(Struct, frozen=True):
    """What one event adds to one choice."""

    index: int = 0
    text: str = ""
    refusal: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    finish_reason: str | None = None

    @property
    def has_content(self) -> bool:
        """Whether a person would see something: what counts as the first token."""
        return bool(self.text or self.refusal or self.reasoning or self.tool_calls)


class Delta(Struct, frozen=True, kw_only=True):
    """One event of an answer.

    ``raw`` is the event's JSON exactly as the provider sent it, so that it can be forwarded
    unchanged; it is empty when we composed the delta. With ``is_whole`` the delta is a complete
    ``chat.completion`` and its choices hold the whole texts; else it is one
    ``chat.completion.chunk``.
    """

    choices: tuple[ChoiceDelta, ...] = ()
    usage: Usage | None = None
    raw: bytes = b""
    is_whole: bool = False
    id: str = ""
    model: str = ""
    created: int = 0

    @property
    def has_content(self) -> bool:
        return any(choice.has_content for choice in self.choices)


class Source(Struct, frozen=True, kw_only=True):
    """One numbered passage given to a model: what a citation ``[number]`` points at."""

    number: int
    chunk_id: str
    document: str
    text: str
    title: str = ""
    section: str = ""
    page: int | None = None
    url: str = ""
    score: float = 0.0
    tags: dict[str, str] = field(default_factory=dict[str, str])
