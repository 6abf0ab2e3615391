"""A chat call as the body of Bedrock's Converse.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, botocore 1.44.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.providers.anthropic.models import abilities_of as claude_abilities
from santral.providers.bedrock.answer import ANSWER_TOOL
from santral.providers.bedrock.messages import MessageWriter, cache_point
from santral.providers.bedrock.model import Abilities, abilities_of
from santral.providers.bedrock.thinking import write_thinking
from santral.providers.conversation.blocks import ToolResult, ToolUse, Turn
from santral.providers.conversation.conversation import (
    Conversation,
    output_limit,
    read_conversation,
)
from santral.providers.conversation.settings import Output, Tool
from santral.providers.provider import ProviderCall, TaskCall
from santral.wire.loss import Losses

#: Fields of Converse that a chat client may give by their own name (``extra_body``).
_OWN = frozenset(
    {
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
    }
)

#: Source: ServiceTierType of the reference.
_TIERS = frozenset({"priority", "default", "flex", "reserved"})

_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, Raw])
_ANY_OBJECT = Raw(b'{"type":"object"}')


class Request(Struct, frozen=True):
    """A body, and whether the answer will be the input of a tool."""

    body: bytes
    answers_by_tool: bool


def request_of(call: ProviderCall) -> Request:
    """Return the body of ``Converse`` and ``ConverseStream``; what is lost is noted.

    Raises:
        BadRequest: the request is not of chat completions' shape.
        ParameterNotSupported: something is lost and the route is strict.
    """
    said = read_conversation(call.fields)
    able = abilities_of(call.model)
    body = _conversation(said, able, call.losses)
    limit = output_limit(said, call.max_output_tokens)
    inference = _inference(call.model, said, limit, call.losses)
    if inference:
        body["inferenceConfig"] = inference
    by_tool = _shape_output(body, said, able, call.losses)
    more = write_thinking(body, call, said, able, forced=by_tool)
    _add_sampling(more, call.model, said, able, call.losses)
    _add_parallel(body, more, said, able, call.losses)
    _note_unsaid(body, said, call.losses)
    _add_own(body, more, said.rest, call.losses)
    known = {"thinking", "output_config"} if able.maker == "anthropic" else {"thinking"}
    for name in call.native:
        if name not in known:
            call.losses.drop(name)
    if call.prompt_cache == "auto" and able.has_cache:
        _mark_prefix(body)
    return Request(_encode(body), by_tool)


def count_body(call: TaskCall) -> bytes:
    """Return the body of ``CountTokens``: what is said, and with which tools."""
    said = read_conversation(call.fields)
    body = _conversation(said, abilities_of(call.model), call.losses)
    return _encode({"input": {"converse": body}})


def _conversation(said: Conversation, able: Abilities, losses: Losses) -> dict[str, Any]:
    writer = MessageWriter(losses, has_cache=able.has_cache)
    system, turns = said.system, said.turns
    if system and not turns:  # the API wants a user's turn
        system, turns = (), [Turn(role="user", blocks=system)]
    body: dict[str, Any] = {"messages": writer.write(turns)}
    written = writer.write_system(system)
    if written:
        body["system"] = written
    tools = _tools(said, able, writer, losses)
    if tools:
        body["toolConfig"] = {"tools": tools} | _choice(said, able, losses)
    return body


def _tools(said: Conversation, able: Abilities, writer: MessageWriter, losses: Losses) -> list[Any]:
    choice = said.tool_choice
    made: list[Any] = []
    for tool in said.tools:
        if choice.allowed and tool.name not in choice.allowed:
            continue
        if tool.kind == "native" and tool.dialect == "bedrock":
            made.append(tool.json)
        elif tool.kind == "function":
            made.append(_spec(tool, able, losses))
            made += writer.mark(tool.cache_control)
        else:
            losses.drop(tool.path, "Bedrock has no such tool")
    used = _used(said.turns)
    if choice.mode == "none" and not used:
        return []
    if not made:  # calls in the conversation are refused without their tools
        made = [{"toolSpec": {"name": name, "inputSchema": {"json": _ANY_OBJECT}}} for name in used]
    return made


def _used(turns: list[Turn]) -> list[str]:
    names = [
        block.name
        for turn in turns
        for block in turn.blocks
        if isinstance(block, ToolUse | ToolResult) and block.name
    ]
    return list(dict.fromkeys(names))


def _spec(tool: Tool, able: Abilities, losses: Losses) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "name": tool.name,
        "inputSchema": {"json": tool.parameters or _ANY_OBJECT},
    }
    if tool.description:
        spec["description"] = tool.description
    if tool.strict and able.has_schema:
        spec["strict"] = True
    elif tool.strict:
        losses.drop(f"{tool.path}.function.strict", "the model does not take it")
    for name in tool.extras:
        losses.drop(f"{tool.path}.{name}")
    return {"toolSpec": spec}


def _choice(said: Conversation, able: Abilities, losses: Losses) -> dict[str, Any]:
    mode = said.tool_choice.mode
    if mode == "none":
        losses.change("tool_choice", "auto")
    if mode in ("required", "tool") and not able.can_force:
        losses.change("tool_choice", "auto")
        return {}
    if mode == "tool":
        return {"toolChoice": {"tool": {"name": said.tool_choice.name}}}
    if mode == "required":
        return {"toolChoice": {"any": {}}}
    return {"toolChoice": {"auto": {}}} if mode == "auto" and able.can_force else {}


def _inference(model: str, said: Conversation, limit: int | None, losses: Losses) -> dict[str, Any]:
    sampling = said.sampling
    stops = [stop for stop in sampling.stop if stop]
    asked = {
        "maxTokens": limit,
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "stopSequences": stops or None,
    }
    claude = claude_abilities(model)
    if not claude.samples:  # the newest Claudes refuse both
        for ours, theirs in (("temperature", "temperature"), ("top_p", "topP")):
            if asked.pop(theirs) is not None:
                losses.drop(ours, "the model does not take it")
    elif claude.samples_once and None not in (sampling.temperature, asked["topP"]):
        del asked["topP"]
        losses.drop("top_p", "the model takes temperature or top_p")
    return {name: value for name, value in asked.items() if value is not None}


def _add_sampling(
    more: dict[str, Any], model: str, said: Conversation, able: Abilities, losses: Losses
) -> None:
    sampling = said.sampling
    if sampling.top_k is not None:
        thinks = "thinking" in more and b"disabled" not in _encode(more["thinking"])
        if able.maker == "anthropic" and claude_abilities(model).samples and not thinks:
            more["top_k"] = sampling.top_k
        elif able.maker == "nova":
            more["inferenceConfig"] = {"topK": sampling.top_k}
        else:
            losses.drop("top_k", "the model does not take it")
    for name in ("seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"):
        if getattr(sampling, name):
            losses.drop(name, "Converse does not take it")
    if sampling.n is not None and sampling.n > 1:
        losses.drop("n", "Converse gives one answer")


def _shape_output(
    body: dict[str, Any], said: Conversation, able: Abilities, losses: Losses
) -> bool:
    """Ask for the form of the answer; return whether a forced tool brings it."""
    output = said.output
    if output.kind == "text":
        return False
    if output.schema is not None and able.has_schema:
        body["outputConfig"] = {"textFormat": _format(output, output.schema)}
        return False
    if not able.can_force or "toolConfig" in body:
        losses.drop("response_format", "the model takes no schema, or none together with tools")
        return False
    spec = {
        "name": ANSWER_TOOL,
        "description": "Gives the answer.",
        "inputSchema": {"json": output.schema or _ANY_OBJECT},
    }
    body["toolConfig"] = {
        "tools": [{"toolSpec": spec}],
        "toolChoice": {"tool": {"name": ANSWER_TOOL}},
    }
    return True


def _format(output: Output, schema: Raw) -> dict[str, Any]:
    """The schema goes as a string of JSON. Source: JsonSchemaDefinition of the reference."""
    named = {"name": output.name} if output.name else {}
    definition = {"schema": bytes(schema).decode(), **named}
    return {"type": "json_schema", "structure": {"jsonSchema": definition}}


def _add_parallel(
    body: dict[str, Any], more: dict[str, Any], said: Conversation, able: Abilities, losses: Losses
) -> None:
    """One call at a time: only Claude can be told, in its own field in place of Converse's."""
    if said.parallel_tool_calls is not False or "toolConfig" not in body:
        return
    if able.maker != "anthropic":
        losses.drop("parallel_tool_calls", "the model does not take it")
        return
    chosen = body["toolConfig"].pop("toolChoice", {"auto": {}})
    ((kind, named),) = chosen.items()
    more["tool_choice"] = {"type": kind, **named, "disable_parallel_tool_use": True}


def _note_unsaid(body: dict[str, Any], said: Conversation, losses: Losses) -> None:
    for name in said.unsaid:
        losses.drop(name)
    if said.user:
        losses.drop("user")
    if said.service_tier in _TIERS:
        body["serviceTier"] = {"type": said.service_tier}
    elif said.service_tier not in ("", "auto"):
        losses.drop("service_tier")


def _add_own(
    body: dict[str, Any], more: dict[str, Any], rest: Mapping[str, Any], losses: Losses
) -> None:
    for name, value in rest.items():
        if name == "additionalModelRequestFields":
            more |= _object.decode(_encode(value))
        elif name in _OWN:
            body[name] = value
        elif name == "metadata":
            body.setdefault("requestMetadata", value)
        else:
            losses.drop(name)
    if more:
        body["additionalModelRequestFields"] = more


def _mark_prefix(body: dict[str, Any]) -> None:
    """Mark what the next request will begin with, where nobody marked anything."""
    if b'"cachePoint"' in _encode(body):
        return
    if "system" in body:
        body["system"].append(cache_point())
    if body["messages"]:
        body["messages"][-1]["content"].append(cache_point())
