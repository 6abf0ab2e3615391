"""A conversation as Cohere's chat takes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from santral.providers.conversation.blocks import (
    Block,
    Image,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
    text_of,
)
from santral.providers.conversation.conversation import (
    Conversation,
    output_limit,
    read_conversation,
)
from santral.providers.conversation.settings import Reasoning, ToolChoice, read_thinking
from santral.providers.provider import ProviderCall
from santral.providers.translated import field_of, is_set, note_losses

_encode = msgspec.json.Encoder().encode

#: Fields of Cohere's own that a client may send as they are. Source: cohere 7.3.1, v2/client.py
_OWN = ("documents", "citation_options", "safety_mode", "strict_tools", "priority")
_CHOICES = {"required": "REQUIRED", "tool": "REQUIRED", "none": "NONE"}


def write_request(call: ProviderCall) -> bytes:
    """Return the body of a call; what Cohere cannot say goes into ``call.losses``."""
    conversation = read_conversation(call.fields, keeps_system_turns=True)
    # Cohere gives log-probabilities per chunk of several tokens: no form of OpenAI's holds them.
    note_losses(call, conversation, takes=_OWN, lacks=("logprobs", "top_logprobs"))
    sampling = conversation.sampling
    body: dict[str, Any] = {
        "model": call.model,
        "messages": _messages(conversation, call),
        "stream": call.is_streaming,
        "tools": _tools(conversation, call) or None,
        "tool_choice": _choice(conversation.tool_choice) if conversation.tools else None,
        "response_format": _format(conversation),
        "max_tokens": output_limit(conversation, call.max_output_tokens),
        "stop_sequences": list(sampling.stop) or None,
        "temperature": sampling.temperature,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "k": sampling.top_k,
        "p": sampling.top_p,
        "thinking": _thinking(conversation.reasoning),
    }
    body |= {name: field_of(conversation, call, name) for name in _OWN}
    return _encode({name: value for name, value in body.items() if is_set(value)})


def _messages(conversation: Conversation, call: ProviderCall) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if conversation.system:
        messages.append({"role": "system", "content": text_of(conversation.system)})
    for turn in conversation.turns:
        messages += _turn(turn, call)
    return messages


def _turn(turn: Turn, call: ProviderCall) -> Iterable[dict[str, Any]]:
    results = [block for block in turn.blocks if isinstance(block, ToolResult)]
    for result in results:
        content = _content(result.blocks, call, sees=False)
        yield {"role": "tool", "tool_call_id": result.call_id, "content": content}
        if result.is_error:
            call.losses.drop(f"{result.path}.is_error")
    rest = [block for block in turn.blocks if not isinstance(block, ToolResult)]
    if rest or not results:
        yield _message(turn, rest, call)


def _message(turn: Turn, blocks: Sequence[Block], call: ProviderCall) -> dict[str, Any]:
    calls = [
        {
            "id": block.id,
            "type": "function",
            "function": {"name": block.name, "arguments": block.arguments or "{}"},
        }
        for block in blocks
        if isinstance(block, ToolUse)
    ]
    for block in blocks:
        if isinstance(block, ToolUse) and block.signature:
            call.losses.drop(f"{block.path}.extra_content")
    said = [block for block in blocks if not isinstance(block, ToolUse)]
    content = _content(said, call, sees=turn.role == "user")
    message: dict[str, Any] = {"role": turn.role}
    if calls:
        message["tool_calls"] = calls
    return message | ({"content": content} if content or not calls else {})


def _content(blocks: Iterable[Block], call: ProviderCall, *, sees: bool) -> Any:
    """Return blocks as Cohere's content: a text alone stays a text."""
    parts: list[dict[str, Any]] = []
    for block in blocks:
        if isinstance(block, Text):
            parts.append({"type": "text", "text": block.text})
        elif isinstance(block, Image) and sees:
            parts.append({"type": "image_url", "image_url": _image(block)})
        elif isinstance(block, Thinking) and block.text:
            parts.append({"type": "thinking", "thinking": block.text})
            if block.detail is not None:  # a signature that only its vendor can check
                call.losses.drop(block.path)
        else:
            call.losses.drop(block.path)
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _image(block: Image) -> dict[str, str]:
    url = block.url or f"data:{block.media_type};base64,{block.data}"
    return {"url": url, "detail": block.detail} if block.detail else {"url": url}


def _tools(conversation: Conversation, call: ProviderCall) -> list[dict[str, Any]]:
    """Return the tools; Cohere can be made to call a tool, but not which one: it gets only that."""
    choice = conversation.tool_choice
    allowed = choice.allowed or ((choice.name,) if choice.name else ())
    tools: list[dict[str, Any]] = []
    for tool in conversation.tools:
        if tool.kind != "function":
            call.losses.drop(tool.path)
        elif not allowed or tool.name in allowed:
            function: dict[str, Any] = {"name": tool.name, "description": tool.description}
            function["parameters"] = tool.parameters or {"type": "object", "properties": {}}
            tools.append({"type": "function", "function": function})
    return tools


def _choice(choice: ToolChoice) -> str | None:
    return _CHOICES.get(choice.mode)


def _format(conversation: Conversation) -> dict[str, Any] | None:
    """Return the form of the answer: Cohere's schema stands bare beside ``json_object``."""
    output = conversation.output
    if output.kind == "text":
        return None
    asked: dict[str, Any] = {"type": "json_object"}
    return asked | ({"json_schema": output.schema} if output.schema is not None else {})


def _thinking(reasoning: Reasoning) -> dict[str, Any] | None:
    """Return how to think. Source: https://docs.cohere.com/docs/reasoning"""
    if reasoning.thinking is not None:  # Anthropic's field
        asked = read_thinking(reasoning.thinking)
        budget = {"token_budget": asked.budget_tokens} if asked.budget_tokens is not None else {}
        return {"type": "disabled" if asked.is_off else "enabled"} | budget
    if not reasoning.effort:
        return None
    return {"type": "disabled" if reasoning.effort in ("none", "minimal") else "enabled"}
