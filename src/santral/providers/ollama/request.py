"""A conversation as Ollama takes it: images beside the text, tool arguments as objects, options."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

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
from santral.providers.conversation.settings import Reasoning, read_thinking
from santral.providers.estimate import estimate_input
from santral.providers.provider import ProviderCall
from santral.providers.translated import field_of, is_set, loads_object, note_losses

_encode = msgspec.json.Encoder().encode
_fields = msgspec.json.Decoder(dict[str, Any])

#: Fields of Ollama's own that a client may send as they are.
_OWN = ("options", "keep_alive", "think", "num_ctx")

#: OpenAI's words for effort as Ollama's ``think``. Source: https://docs.ollama.com/capabilities/thinking
_THINK: dict[str, bool | str] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
}


def write_request(call: ProviderCall) -> bytes:
    """Return the body of a call; what Ollama cannot say goes into ``call.losses``."""
    conversation = read_conversation(call.fields, keeps_system_turns=True)
    note_losses(call, conversation, takes=_OWN)
    body: dict[str, Any] = {
        "model": call.model,
        "messages": _messages(conversation, call),
        "stream": call.is_streaming,
    }
    tools = _tools(conversation, call)
    if tools:
        body["tools"] = tools
    options = _options(conversation, call)
    if options:
        body["options"] = options
    _note_truncation(options, call)
    settings: dict[str, Any] = {
        "format": _format(conversation),
        "think": _think(conversation.reasoning, field_of(conversation, call, "think")),
        "keep_alive": field_of(conversation, call, "keep_alive"),
        "logprobs": conversation.sampling.logprobs,
        "top_logprobs": conversation.sampling.top_logprobs,
    }
    return _encode(body | {name: value for name, value in settings.items() if is_set(value)})


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
        yield _message("tool", result.blocks, call) | {
            "tool_name": result.name,
            "tool_call_id": result.call_id,
        }
        if result.is_error:
            call.losses.drop(f"{result.path}.is_error")
    rest = [block for block in turn.blocks if not isinstance(block, ToolResult)]
    if rest or not results:
        yield _message(turn.role, rest, call)


def _message(role: str, blocks: Iterable[Block], call: ProviderCall) -> dict[str, Any]:
    texts: list[str] = []
    images: list[str] = []
    thinking: list[str] = []
    calls: list[dict[str, Any]] = []
    for block in blocks:
        if isinstance(block, Text):
            texts.append(block.text)
        elif isinstance(block, Image) and block.data:
            images.append(block.data)
        elif isinstance(block, ToolUse):
            function = {"name": block.name, "arguments": loads_object(block.arguments)}
            calls.append({"id": block.id, "function": function})
            if block.signature:
                call.losses.drop(f"{block.path}.extra_content")
        elif isinstance(block, Thinking) and block.text:
            thinking.append(block.text)
            if block.detail is not None:  # a signature that only its vendor can check
                call.losses.drop(block.path)
        else:
            call.losses.drop(block.path)
    more = {"thinking": "\n".join(thinking), "images": images, "tool_calls": calls}
    message: dict[str, Any] = {"role": role, "content": "\n".join(texts)}
    return message | {name: value for name, value in more.items() if value}


def _tools(conversation: Conversation, call: ProviderCall) -> list[dict[str, Any]]:
    """Return the tools a call may use: Ollama knows no choice, so leaving out is all that can be done."""
    choice = conversation.tool_choice
    if choice.mode == "none":
        return []
    if choice.mode in ("required", "tool"):
        call.losses.drop("tool_choice", "Ollama leaves the choice to the model")
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


def _options(conversation: Conversation, call: ProviderCall) -> dict[str, Any]:
    """Return the sampling settings under Ollama's names; the client's own ``options`` stand."""
    sampling = conversation.sampling
    options: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "seed": sampling.seed,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "num_predict": output_limit(conversation, call.max_output_tokens),
        "stop": list(sampling.stop) or None,
        "num_ctx": field_of(conversation, call, "num_ctx"),
    }
    own = field_of(conversation, call, "options")
    given = _fields.decode(_encode(own)) if is_set(own) else dict[str, Any]()
    return {name: value for name, value in options.items() if is_set(value)} | given


def _note_truncation(options: dict[str, Any], call: ProviderCall) -> None:
    asked = options.get("num_ctx")
    num_ctx = msgspec.json.decode(asked) if isinstance(asked, Raw) else asked
    if isinstance(num_ctx, int) and estimate_input(call.fields) > num_ctx:
        call.losses.change("messages", f"cut to num_ctx {num_ctx}")


def _format(conversation: Conversation) -> Any:
    output = conversation.output
    if output.kind == "json_schema":
        return output.schema
    return "json" if output.kind == "json_object" else None


def _think(reasoning: Reasoning, own: Any) -> Any:
    if is_set(own):
        return own
    if reasoning.thinking is not None:  # Anthropic's field
        return not read_thinking(reasoning.thinking).is_off
    return _THINK.get(reasoning.effort)
