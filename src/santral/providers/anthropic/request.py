"""A call as the body of Anthropic's ``POST /v1/messages``.

Fields that only this protocol knows (``call.native``) are merged back as they came, and win over what
was translated. Source: https://platform.claude.com/docs/en/api/messages/create
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.providers.anthropic.blocks import BlockWriter
from santral.providers.anthropic.cache import mark_prefixes
from santral.providers.anthropic.models import Abilities, abilities_of
from santral.providers.anthropic.thinking import write_thinking
from santral.providers.anthropic.tools import (
    answer_tool,
    custom_names,
    write_choice,
    write_format,
    write_tools,
)
from santral.providers.conversation.blocks import Turn
from santral.providers.conversation.conversation import (
    Conversation,
    as_user_turn,
    merged,
    output_limit,
    read_conversation,
)
from santral.providers.provider import ProviderCall, TaskCall
from santral.wire.loss import Losses
from santral.wire.messages import MESSAGES

#: ``max_tokens`` is required: what is asked for where nobody says. Chosen: what every Claude can make.
DEFAULT_MAX_TOKENS = 4096

_object = msgspec.json.Decoder(dict[str, Raw])
_encode = msgspec.json.Encoder().encode

#: Settings of the chat form that this protocol does not have.
_UNKNOWN = ("seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs")
#: Fields whose parts are translated and whose rest is native: both together are the field.
_SHARED = ("metadata", "output_config")
_JSON_INSTRUCTION = "Answer with one JSON object and nothing else."


class Request(Struct, frozen=True, kw_only=True):
    """A body to send, and what the answer's reader has to know of it."""

    body: bytes
    custom_tools: frozenset[str] = frozenset()  # their arguments are plain text for the caller
    answer_tool: str = ""  # the tool whose arguments are the answer


def write_request(call: ProviderCall) -> Request:
    """Return the body of a call; what it cannot say is noted in ``call.losses``.

    Raises:
        BadRequest: see ``read_conversation``.
        ParameterNotSupported: the route is strict and something would be lost.
    """
    abilities = abilities_of(call.model)
    is_own = call.dialect == MESSAGES
    said = read_conversation(call.fields, keeps_system_turns=is_own or abilities.has_system_turns)
    native: Mapping[str, Raw] = call.native if is_own else {}
    if not is_own:
        for name in call.native:
            call.losses.drop(name)
    body = _conversation(call.model, said, abilities, call.losses, is_own=is_own)
    limit = output_limit(said, call.max_output_tokens)
    body["max_tokens"] = DEFAULT_MAX_TOKENS if limit is None else limit
    _settle(body, said, call.losses)
    answers_by_tool = _shape_output(body, said, abilities, call.losses, is_own=is_own)
    if b"budget_tokens" not in bytes(native.get("thinking", b"")):  # an effort was told from it
        write_thinking(body, said, abilities, call.losses, is_own=is_own)
    _sample(body, said, abilities, call.losses, thinks="thinking" in body or "thinking" in native)
    _merge(body, native)
    if call.is_streaming:
        body["stream"] = True
    if call.prompt_cache == "auto":
        mark_prefixes(body)
    return Request(
        body=_encode(body),
        custom_tools=custom_names(said),
        answer_tool=answers_by_tool,
    )


def write_count(call: TaskCall) -> bytes:
    """Return the body of ``POST /v1/messages/count_tokens``: what is counted and nothing else."""
    abilities = abilities_of(call.model)
    said = read_conversation(call.fields, keeps_system_turns=abilities.has_system_turns)
    body = _conversation(call.model, said, abilities, call.losses, is_own=False)
    if said.reasoning.thinking is not None:
        body["thinking"] = said.reasoning.thinking
    return _encode(body)


def _conversation(
    model: str, said: Conversation, abilities: Abilities, losses: Losses, *, is_own: bool
) -> dict[str, Any]:
    """Return model, system, messages, tools and the choice of them."""
    blocks = BlockWriter(losses)
    for path in said.unsaid:
        losses.drop(path)
    system, turns = said.system, said.turns
    if not turns and system:  # the API wants a user's turn
        system, turns = (), [Turn(role="user", blocks=system)]
    body: dict[str, Any] = {"model": model}
    written = blocks.system(system)
    if written:
        body["system"] = written
    arranged = merged(turns) if is_own else _arranged(merged(turns))
    messages = [blocks.turn(turn) for turn in arranged]
    body["messages"] = [message for message in messages if message["content"]]
    tools = write_tools(said, abilities, losses)
    if tools:
        body["tools"] = tools
        choice = write_choice(said)
        if choice is not None:
            body["tool_choice"] = choice
    return body


def _arranged(turns: list[Turn]) -> list[Turn]:
    """Make those system turns a user's that stand where the API does not take them.

    Source: platform.claude.com, "Mid-conversation system messages": after a user's turn, and last or
    before the assistant's.
    """
    made: list[Turn] = []
    for at, turn in enumerate(turns):
        follows = at > 0 and turns[at - 1].role == "user"
        precedes = at + 1 == len(turns) or turns[at + 1].role == "assistant"
        made.append(turn if follows and precedes else as_user_turn(turn))
    return merged(made)


def _settle(body: dict[str, Any], said: Conversation, losses: Losses) -> None:
    """Write the plain settings, and note those that there are not."""
    if said.user:
        body["metadata"] = {"user_id": said.user}
    stops = [stop for stop in said.sampling.stop if stop.strip()]
    if stops:  # the API refuses those of white space alone
        body["stop_sequences"] = stops
    if len(stops) != len(said.sampling.stop):
        losses.drop("stop")
    if said.service_tier:
        tier = _TIERS.get(said.service_tier)
        if tier is None:
            losses.drop("service_tier")
        else:
            body["service_tier"] = tier
    if (said.sampling.n or 1) > 1:
        losses.drop("n", "it gives one answer")
    for name in _UNKNOWN:
        if getattr(said.sampling, name) not in (None, 0, False):
            losses.drop(name)
    for name in said.rest:
        losses.drop(name)


_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}


def _shape_output(
    body: dict[str, Any],
    said: Conversation,
    abilities: Abilities,
    losses: Losses,
    *,
    is_own: bool,
) -> str:
    """Ask for structured output; return the name of the tool that stands in for it, if one has to."""
    if said.output.kind == "json_object":
        losses.change("response_format", "instruction")
        body.setdefault("system", []).append({"type": "text", "text": _JSON_INSTRUCTION})
    if said.output.kind != "json_schema" or said.output.schema is None:
        return ""
    shape = write_format(said, abilities, is_own=is_own)
    if shape is not None:
        body["output_config"] = {"format": shape}
        return ""
    tool = answer_tool(said)
    body.setdefault("tools", []).append(tool)
    if len(body["tools"]) > 1 and said.tool_choice.mode != "none":
        body["tool_choice"] = {"type": "any"}  # a tool of the caller's, or the answer
    else:
        body["tool_choice"] = {"type": "tool", "name": tool["name"]}
    return str(tool["name"])


def _sample(
    body: dict[str, Any], said: Conversation, abilities: Abilities, losses: Losses, *, thinks: bool
) -> None:
    """Write temperature, top_p and top_k as far as model and thinking allow."""
    asked = {name: getattr(said.sampling, name) for name in ("temperature", "top_p", "top_k")}
    for name, value in asked.items():
        if value is None:
            continue
        is_second = name == "top_p" and abilities.samples_once and "temperature" in body
        is_fixed = thinks and name != "top_p"  # thinking needs a temperature of 1 and no top_k
        if not abilities.samples or is_second or is_fixed:
            if not (name == "temperature" and value == 1):
                losses.drop(name, "the model does not take it")
        elif name == "temperature" and value > 1:
            body[name] = 1
            losses.change(name, 1)
        else:
            body[name] = value


def _merge(body: dict[str, Any], native: Mapping[str, Raw]) -> None:
    for name, value in native.items():
        if name in _SHARED and name in body:
            body[name] = {**body[name], **_object.decode(value)}
        else:
            body[name] = value
