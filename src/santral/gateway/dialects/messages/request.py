"""A request of Anthropic's protocol in chat form; what chat has no word for stays native."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from santral.errors import BadRequest
from santral.gateway.dialects.messages.blocks import chat_messages, content_parts
from santral.gateway.dialects.messages.shapes import (
    Request,
    Tool,
    fields_of,
    is_given,
    read_as,
    read_body,
    type_of,
)
from santral.wire.chat import ChatCall, chat_call
from santral.wire.messages import MESSAGES

#: Fields that are translated whole. ``thinking`` is not among them: chat has only an effort.
_TRANSLATED = frozenset(
    {
        "model", "messages", "max_tokens", "system", "stream", "temperature", "top_p", "top_k",
        "stop_sequences", "tools", "tool_choice", "output_config", "output_format", "metadata",
        "service_tier", "santral",
    }
)  # fmt: skip
_TIERS = {"standard_only": "default"}
#: Fields of a function tool that chat has, or that are carried under their own name.
_OF_TOOLS = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"})

#: The effort for a budget of thinking tokens: the first whose bound is not passed. Chosen, as the
#: budgets that efforts become on the way out.
_EFFORTS = ((2048, "low"), (8192, "medium"))


def read_request(body: bytes) -> ChatCall:
    """Return the call.

    Raises:
        BadRequest: malformed; the message names the place in the caller's own words.
    """
    request, given = read_body(body)
    fields: dict[str, Any] = {"model": request.model, "messages": _messages(request)}
    for name in ("max_tokens", "stream", "temperature", "top_p", "top_k"):
        value = getattr(request, name)
        if value is not None:
            fields[name] = value
    if request.stop_sequences:
        fields["stop"] = request.stop_sequences
    if request.metadata is not None and request.metadata.user_id is not None:
        fields["user"] = request.metadata.user_id
    if request.service_tier is not None:
        fields["service_tier"] = _TIERS.get(request.service_tier, request.service_tier)
    if is_given(request.santral):
        fields["santral"] = request.santral
    _add_tools(fields, request)
    _add_output(fields, request)
    return chat_call(fields, dialect=MESSAGES, native=_native(request, given))


def _messages(request: Request) -> list[dict[str, Any]]:
    messages = chat_messages(request.messages)
    system: Any = request.system
    if not system:
        return messages
    if not isinstance(system, str):
        system = content_parts(system, "system")
    return [{"role": "system", "content": system}, *messages]


def _add_tools(fields: dict[str, Any], request: Request) -> None:
    if request.tools:
        fields["tools"] = [_tool(tool, f"tools.{at}") for at, tool in enumerate(request.tools)]
    choice = request.tool_choice
    if choice is None:
        return
    if choice.disable_parallel_tool_use is not None:
        fields["parallel_tool_calls"] = not choice.disable_parallel_tool_use
    if choice.type != "tool":
        fields["tool_choice"] = {"any": "required"}.get(choice.type, choice.type)
    elif choice.name:
        fields["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    else:
        raise BadRequest(
            "'tool_choice.name' is missing.", code="invalid_request", param="tool_choice.name"
        )


def _tool(raw: Raw, path: str) -> dict[str, Any]:
    if type_of(raw, path) not in ("", "custom"):
        return {"type": "native", "dialect": MESSAGES, "block": raw}
    tool = read_as(Tool, raw, path)
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.input_schema}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    made: dict[str, Any] = {"type": "function", "function": function}
    if is_given(tool.cache_control):
        made["cache_control"] = tool.cache_control
    own = {name: value for name, value in fields_of(raw).items() if name not in _OF_TOOLS}
    return {**made, "anthropic": own} if own else made


def _add_output(fields: dict[str, Any], request: Request) -> None:
    config = request.output_config
    shape = config.format if config is not None and config.format else request.output_format
    if shape is not None:
        schema = {"name": "answer", "schema": shape.schema}  # strict means another subset at OpenAI
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    effort = config.effort if config is not None else None
    thinking = request.thinking
    if thinking is not None and thinking.budget_tokens is not None:
        budget = thinking.budget_tokens
        effort = next((name for most, name in _EFFORTS if budget <= most), "high")
    if effort is not None:
        fields["reasoning_effort"] = effort


def _native(request: Request, given: dict[str, Raw]) -> dict[str, Raw]:
    """Return the fields only this protocol has, and of shared ones what was not translated."""
    native = {name: raw for name, raw in given.items() if name not in _TRANSLATED}
    for name, own in (("metadata", {"user_id"}), ("output_config", _said_otherwise(request))):
        if name in given and is_given(given[name]):
            rest = {k: v for k, v in fields_of(given[name]).items() if k not in own}
            if rest:
                native[name] = Raw(msgspec.json.encode(rest))
    return native


def _said_otherwise(request: Request) -> set[str]:
    """Which parts of ``output_config`` the chat form says: not an effort beside a budget."""
    has_budget = request.thinking is not None and request.thinking.budget_tokens is not None
    return {"format"} if has_budget else {"format", "effort"}
