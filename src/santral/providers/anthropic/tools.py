"""Tools, their choice and structured output in Anthropic's form."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from santral.providers.anthropic.models import Abilities
from santral.providers.anthropic.schema import fitted
from santral.providers.conversation.conversation import Conversation
from santral.providers.conversation.settings import Tool
from santral.wire.loss import Losses
from santral.wire.messages import MESSAGES

_object = msgspec.json.Decoder(dict[str, Raw])

#: What a custom tool is for a model that knows functions alone. Source: the shape that OpenAI's
#: documentation gives for a plain-text tool.
_CUSTOM_INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


def write_tools(said: Conversation, abilities: Abilities, losses: Losses) -> list[Any]:
    """Return ``tools``; of a choice that allows some, only those."""
    allowed = said.tool_choice.allowed
    made: list[Any] = []
    for tool in said.tools:
        if allowed and tool.kind != "native" and tool.name not in allowed:
            continue
        entry = _tool(tool, abilities, losses)
        if entry is not None:
            made.append(entry)
    return made


def write_choice(said: Conversation) -> dict[str, Any] | None:
    """Return ``tool_choice``, or None where the default says the same."""
    mode = said.tool_choice.mode
    choice: dict[str, Any] = {"type": _CHOICES[mode]}
    if mode == "tool":
        choice["name"] = said.tool_choice.name
    if said.parallel_tool_calls is False and mode != "none":
        choice["disable_parallel_tool_use"] = True
    return None if mode == "unset" and len(choice) == 1 else choice


_CHOICES = {"unset": "auto", "auto": "auto", "none": "none", "required": "any", "tool": "tool"}


def custom_names(said: Conversation) -> frozenset[str]:
    """Return the tools whose arguments are plain text for the caller."""
    return frozenset(tool.name for tool in said.tools if tool.kind == "custom")


def write_format(
    said: Conversation, abilities: Abilities, *, is_own: bool
) -> dict[str, Any] | None:
    """Return ``output_config.format``, or None where the model or the schema does not allow it.

    The schema of a caller of this protocol (``is_own``), who says nothing of ``strict``, is sent as
    it came.
    """
    schema = said.output.schema
    if schema is None or not abilities.has_output_format:
        return None
    strict = said.output.strict
    fit = schema if strict or (strict is None and is_own) else fitted(schema)
    return None if fit is None else {"type": "json_schema", "schema": fit}


def answer_tool(said: Conversation) -> dict[str, Any]:
    """Return the tool whose arguments are the answer, for models without structured output."""
    return {
        "name": _answer_name(said),
        "description": "Give the answer. Call this once, with the whole answer.",
        "input_schema": said.output.schema,
    }


def _answer_name(said: Conversation) -> str:
    taken = {tool.name for tool in said.tools}
    name = said.output.name or "answer"
    return f"{name}_answer" if name in taken else name


def _tool(tool: Tool, abilities: Abilities, losses: Losses) -> Any:
    if tool.kind == "native":
        if tool.dialect == MESSAGES:
            return tool.json
        losses.drop(tool.path, f"only '{tool.dialect}' knows it")
        return None
    made: dict[str, Any] = {"name": tool.name, "input_schema": _schema(tool)}
    if tool.description:
        made["description"] = tool.description
    if tool.format is not None:
        losses.drop(f"{tool.path}.custom.format")
    if tool.strict and abilities.has_output_format:
        made["strict"] = True
    elif tool.strict:
        losses.drop(f"{tool.path}.function.strict")
    made.update(tool.extras)
    if tool.cache_control is not None:
        made["cache_control"] = tool.cache_control
    return made


def _schema(tool: Tool) -> Any:
    if tool.kind == "custom":
        return _CUSTOM_INPUT
    if tool.parameters is None:
        return {"type": "object", "properties": {}}
    try:
        fields = _object.decode(tool.parameters)
    except msgspec.DecodeError:
        return tool.parameters  # a schema that is no object: let the provider say so
    return tool.parameters if "type" in fields else {"type": "object", **fields}
