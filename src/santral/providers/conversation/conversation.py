"""A chat request read into turns of typed blocks, for every dialect that is not chat completions.

``read_conversation(call.fields)`` is where such a dialect begins. What it cannot say of the result it
notes in ``call.losses``: blocks under their ``path``, settings under their name, everything in
``unsaid`` and ``rest``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Raw, Struct

from santral.providers.conversation.blocks import Block, Text, Turn
from santral.providers.conversation.messages import MessageReader
from santral.providers.conversation.settings import (
    NAMED,
    Output,
    Reasoning,
    Sampling,
    Tool,
    ToolChoice,
    read_settings,
)

#: Fields of the transport: every dialect says them in its own way.
_TRANSPORT = frozenset({"model", "messages", "stream", "stream_options", "santral"})


class Conversation(Struct, frozen=True, kw_only=True):
    """A whole request: what was said, and how the answer should be."""

    system: tuple[Block, ...]
    turns: list[Turn]
    tools: list[Tool]
    tool_choice: ToolChoice
    output: Output
    sampling: Sampling
    reasoning: Reasoning
    parallel_tool_calls: bool | None = None
    user: str = ""
    service_tier: str = ""
    unsaid: tuple[str, ...] = ()  # fields of messages that have no place in blocks
    rest: Mapping[str, Any] = {}  # top-level fields that nobody named here


def read_conversation(
    fields: Mapping[str, Any], *, keeps_system_turns: bool = False
) -> Conversation:
    """Read the chat-form fields of a call.

    System and developer messages at the beginning become ``system``. Later ones become user turns
    whose text is marked ``<system>``, or turns of the role ``system`` with ``keeps_system_turns``,
    for the dialect that has such.

    Raises:
        BadRequest: a shape that is not chat completions', or a type of part nobody knows; ``param``
            is its path.
    """
    reader = MessageReader()
    turns = reader.read(fields.get("messages", ()))
    start = next((at for at, turn in enumerate(turns) if turn.role != "system"), len(turns))
    system = tuple(block for turn in turns[:start] for block in turn.blocks)
    rest = turns[start:]
    settings = read_settings(fields)
    return Conversation(
        system=system,
        turns=rest if keeps_system_turns else [as_user_turn(turn) for turn in rest],
        tools=settings.tools,
        tool_choice=settings.tool_choice,
        output=settings.output,
        sampling=settings.sampling,
        reasoning=settings.reasoning,
        parallel_tool_calls=settings.parallel_tool_calls,
        user=settings.user,
        service_tier=settings.service_tier,
        unsaid=tuple(reader.unsaid),
        rest=_rest(fields),
    )


def as_user_turn(turn: Turn) -> Turn:
    """Return a system turn as a user's, its text marked so that the model can tell it apart."""
    if turn.role != "system":
        return turn
    marked = tuple(
        Text(
            text=f"<system>\n{block.text}\n</system>",
            path=block.path,
            cache_control=block.cache_control,
        )
        if isinstance(block, Text)
        else block
        for block in turn.blocks
    )
    return Turn(role="user", blocks=marked, path=turn.path)


def merged(turns: Iterable[Turn]) -> list[Turn]:
    """Return the turns with neighbours of one role made one, and none empty.

    For dialects whose roles have to alternate; results of several tool calls become one turn.
    """
    made: list[Turn] = []
    for turn in turns:
        if not turn.blocks:
            continue
        if made and made[-1].role == turn.role:
            last = made[-1]
            made[-1] = Turn(role=last.role, blocks=last.blocks + turn.blocks, path=last.path)
        else:
            made.append(turn)
    return made


def output_limit(conversation: Conversation, cap: int | None) -> int | None:
    """Return the most output tokens to ask for: what was asked, at most ``cap``; None if neither is set."""
    asked = conversation.sampling.max_tokens
    if asked is None or cap is None:
        return asked if cap is None else cap
    return cap if asked < 0 else min(asked, cap)  # some engines take a negative one for no bound


def _rest(fields: Mapping[str, Any]) -> dict[str, Any]:
    named = NAMED | _TRANSPORT
    return {
        name: value
        for name, value in fields.items()
        if name not in named and value is not None and not _is_null(value)
    }


def _is_null(value: Any) -> bool:
    return isinstance(value, Raw) and bytes(value) == b"null"
