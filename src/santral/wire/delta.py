"""What a provider yields and ``emit`` takes: one event of an answer, whole answers included.

All of it is out of the garbage collector's sight (``gc=False``): texts and tuples of texts cannot
refer to what holds them. Measured with the records and the vendor's chunks: 3 % of a streamed answer.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct, field

from santral.wire.usage import Usage


class ToolCallDelta(Struct, frozen=True, gc=False):
    """A piece of one tool call; ``id`` and ``name`` come once, ``arguments`` in fragments.

    ``signature`` is opaque to everybody but the vendor that made the call (Gemini's
    ``thoughtSignature``) and has to come back byte for byte. A ``custom`` call's arguments are plain
    text, a ``function`` call's are JSON.
    """

    index: int = 0
    id: str = ""
    name: str = ""
    arguments: str = ""
    signature: str = ""
    kind: Literal["function", "custom"] = "function"


class ReasoningDetail(Struct, frozen=True, omit_defaults=True, gc=False):
    """What a vendor wants back unchanged with a model's reasoning: never read, never edited.

    A ``text`` detail closes the reasoning text that came since the last detail, with its
    ``signature``; an ``encrypted`` one is a block of its own, all in ``data``. ``format`` names who
    made it (``anthropic-claude-v1``, ``google-gemini-v1``, ``openai-responses-v1``): it goes back to
    that dialect only. Source of the names: https://openrouter.ai/docs/use-cases/reasoning-tokens
    """

    type: Literal["text", "encrypted", "summary"] = "text"
    signature: str = ""
    data: str = ""
    id: str = ""
    format: str = ""


class NativeBlock(Struct, frozen=True, gc=False):
    """A block that only its own dialect knows (a server tool's call or result), whole, as JSON."""

    dialect: str
    json: bytes


class ChoiceDelta(Struct, frozen=True, gc=False):
    """What one event adds to one choice.

    The blocks of an answer are in the order of its deltas: reasoning, text, tool calls, native
    blocks. A delta of a dialect with blocks holds pieces of one block only.
    """

    index: int = 0
    text: str = ""
    refusal: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    finish_reason: str | None = None
    details: tuple[ReasoningDetail, ...] = ()
    native: tuple[NativeBlock, ...] = ()
    annotations: tuple[Raw, ...] = ()  # of the text so far, in OpenAI's form (url_citation, ...)
    logprobs: bytes = b""  # JSON in OpenAI's chat form, where a dialect composed it
    native_finish: str = ""  # the vendor's own word for finish_reason, where it has another
    stop_sequence: str = ""  # which of the request's stop sequences ended the answer
    begins_block: bool = False  # a text block that follows another one: cited texts come in several

    @property
    def has_content(self) -> bool:
        """Whether a person would see something: what counts as the first token."""
        return bool(self.text or self.refusal or self.reasoning or self.tool_calls or self.native)


class Delta(Struct, frozen=True, kw_only=True, gc=False):
    """One event of an answer.

    A dialect other than chat completions yields a whole answer, too, as deltas in the order of its
    blocks, with ``is_whole`` false.

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
    service_tier: str = ""

    @property
    def has_content(self) -> bool:
        for choice in self.choices:  # noqa: SIM110 - any() over a generator takes twice as long
            if choice.has_content:
                return True
        return False


class Piece(Struct, frozen=True, kw_only=True):
    """A stretch of a source's text that stands in its document as it is, on one page.

    Characters ``at`` to ``end`` of the source are the document's from ``start`` on; what lies between
    pieces (a heading put in front, a gap) is no text of the document.
    """

    chunk_id: str
    at: int
    end: int
    start: int
    page: int | None = None


class Source(Struct, frozen=True, kw_only=True):
    """One numbered passage given to a model: what a citation ``[number]`` points at.

    ``pieces`` say where its text stands in the document ``document_id`` of the collection; they hold
    for the text as it was found, not for one that a check has masked.
    """

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
    document_id: str = ""
    collection: str = ""
    pieces: tuple[Piece, ...] = ()
