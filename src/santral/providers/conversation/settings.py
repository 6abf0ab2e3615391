"""The settings of a chat request: tools, sampling, output form, reasoning; each typed once.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct, field

from santral.errors import BadRequest
from santral.wire.chat import ResponseFormat

Number: TypeAlias = int | float

#: A raw field that was not there: msgspec takes no union with ``Raw``.
NONE = Raw(b"")


class Tool(Struct, frozen=True, kw_only=True):
    """One tool the model may call.

    A ``native`` one is all in ``json`` and known to ``dialect`` alone (``web_search`` of Anthropic);
    ``extras`` are fields of a function that only Anthropic knows.
    """

    kind: Literal["function", "custom", "native"] = "function"
    name: str = ""
    description: str = ""
    parameters: Raw | None = None  # JSON Schema; none given: no parameters
    strict: bool | None = None
    cache_control: Raw | None = None
    format: Raw | None = None  # of a custom tool: its grammar
    dialect: str = ""
    json: Raw = Raw(b"{}")
    extras: Mapping[str, Raw] = field(default_factory=dict[str, Raw])
    path: str = ""


class ToolChoice(Struct, frozen=True, kw_only=True):
    """Which tool the model should call; ``allowed`` names those of an allowed-tools choice."""

    mode: Literal["unset", "auto", "none", "required", "tool"] = "unset"
    name: str = ""
    allowed: tuple[str, ...] = ()


class Output(Struct, frozen=True, kw_only=True):
    """The form of the answer."""

    kind: Literal["text", "json_object", "json_schema"] = "text"
    name: str = ""
    schema: Raw | None = None
    strict: bool | None = None


class Sampling(Struct, frozen=True, kw_only=True):
    """How tokens are drawn and when to stop; None where the request does not say."""

    temperature: Number | None = None
    top_p: Number | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: Number | None = None
    frequency_penalty: Number | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class Reasoning(Struct, frozen=True, kw_only=True):
    """How much to reason: OpenAI's word, and Anthropic's ``thinking`` field where a request has it."""

    effort: str = ""
    thinking: Raw | None = None


class AskedThinking(Struct, frozen=True):
    """What Anthropic's ``thinking`` says: ``enabled``, ``adaptive`` or ``disabled``, and how much."""

    type: str = ""
    budget_tokens: int | None = None

    @property
    def is_off(self) -> bool:
        """Whether not to think is asked for."""
        return self.type == "disabled"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything of a request beside its messages."""

    tools: list[Tool]
    tool_choice: ToolChoice
    output: Output
    sampling: Sampling
    reasoning: Reasoning
    parallel_tool_calls: bool | None
    user: str
    service_tier: str


class _Function(Struct, frozen=True):
    name: str = ""
    description: str | None = None
    parameters: Raw = NONE
    strict: bool | None = None


class _Custom(Struct, frozen=True):
    name: str = ""
    description: str | None = None
    format: Raw = NONE


class _Tool(Struct, frozen=True):
    type: str = "function"
    function: _Function | None = None
    custom: _Custom | None = None
    dialect: str = ""
    block: Raw = Raw(b"{}")
    cache_control: Raw = NONE
    anthropic: dict[str, Raw] = {}


class _Named(Struct, frozen=True):
    name: str = ""


class _Allowed(Struct, frozen=True):
    mode: Literal["auto", "required"] = "auto"
    tools: list[_Tool] = []


class _Choice(Struct, frozen=True):
    type: str = "function"
    function: _Named | None = None
    custom: _Named | None = None
    allowed_tools: _Allowed | None = None


class _Fields(Struct, frozen=True):
    tools: list[_Tool] | None = None
    functions: list[_Function] | None = None  # what tools were before
    tool_choice: Literal["none", "auto", "required"] | _Choice | None = None
    function_call: Literal["none", "auto"] | _Named | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: Number | None = None
    frequency_penalty: Number | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning_effort: str | None = None
    thinking: Raw = NONE
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None


#: Top-level fields that a ``Conversation`` holds.
NAMED = frozenset(_Fields.__struct_fields__)
_decoder = msgspec.json.Decoder(_Fields)
_thinking = msgspec.json.Decoder(AskedThinking)
_INDEX = re.compile(r"\[(\d+|\.\.\.)\]")


def read_settings(fields: Mapping[str, Any]) -> Settings:
    """Read everything beside the messages; errors as ``read_conversation``."""
    known = {name: value for name, value in fields.items() if name in NAMED}
    try:
        read = _decoder.decode(msgspec.json.encode(known))
    except msgspec.ValidationError as error:
        raise wrong_shape(error, "") from None
    return Settings(
        tools=_tools(read),
        tool_choice=_tool_choice(read),
        output=_output(read.response_format),
        sampling=_sampling(read),
        reasoning=Reasoning(effort=read.reasoning_effort or "", thinking=or_none(read.thinking)),
        parallel_tool_calls=read.parallel_tool_calls,
        user=read.user or read.safety_identifier or "",
        service_tier=read.service_tier or "",
    )


def read_thinking(thinking: Raw) -> AskedThinking:
    """Read Anthropic's ``thinking``, for a dialect that says it otherwise.

    Raises:
        BadRequest: it is no object, or its budget is no number.
    """
    try:
        return _thinking.decode(thinking)
    except msgspec.ValidationError as error:
        raise wrong_shape(error, "thinking") from None


def wrong_shape(error: msgspec.ValidationError, prefix: str) -> BadRequest:
    """Return msgspec's error as ours; its place stands under ``prefix``."""
    reason, _, place = str(error).partition(" - at `")
    path = _INDEX.sub(r".\1", place.rstrip("`").removeprefix("$"))
    path = (prefix + path).strip(".")
    return BadRequest(f"{reason} at '{path}'.", code="invalid_request", param=path or None)


def or_none(raw: Raw) -> Raw | None:
    """Return a raw field, or None where it was missing or null."""
    return None if bytes(raw) in (b"", b"null") else raw


def _tools(read: _Fields) -> list[Tool]:
    tools = [_tool(entry, f"tools.{at}") for at, entry in enumerate(read.tools or ())]
    tools += [_function(entry, f"functions.{at}") for at, entry in enumerate(read.functions or ())]
    return tools


def _tool(entry: _Tool, path: str) -> Tool:
    if entry.type == "native":
        return Tool(kind="native", dialect=entry.dialect, json=entry.block, path=path)
    if entry.type == "custom" and entry.custom is not None:
        custom = entry.custom
        return Tool(
            kind="custom",
            name=custom.name,
            description=custom.description or "",
            format=or_none(custom.format),
            cache_control=or_none(entry.cache_control),
            path=path,
        )
    if entry.type != "function" or entry.function is None:
        raise BadRequest(
            f"'{path}' is a tool of the type '{entry.type}', which cannot be translated.",
            code="invalid_request",
            param=path,
        )
    return msgspec.structs.replace(
        _function(entry.function, path),
        cache_control=or_none(entry.cache_control),
        extras=entry.anthropic,
    )


def _function(function: _Function, path: str) -> Tool:
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters=or_none(function.parameters),
        strict=function.strict,
        path=path,
    )


def _tool_choice(read: _Fields) -> ToolChoice:
    choice = read.tool_choice
    if choice is None:
        return _function_call(read.function_call)
    if isinstance(choice, str):
        return ToolChoice(mode=choice)
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        names = [
            (tool.function or tool.custom or _Function()).name
            for tool in choice.allowed_tools.tools
        ]
        return ToolChoice(mode=choice.allowed_tools.mode, allowed=tuple(names))
    named = choice.function or choice.custom
    if named is None or not named.name:
        raise BadRequest(
            "'tool_choice' names no function.", code="invalid_request", param="tool_choice"
        )
    return ToolChoice(mode="tool", name=named.name)


def _function_call(choice: Literal["none", "auto"] | _Named | None) -> ToolChoice:
    if choice is None:
        return ToolChoice()
    if isinstance(choice, str):
        return ToolChoice(mode=choice)
    return ToolChoice(mode="tool", name=choice.name)


def _output(asked: ResponseFormat | None) -> Output:
    if asked is None:
        return Output()
    if asked.type == "json_schema" and asked.json_schema is not None:
        schema = asked.json_schema
        return Output(
            kind="json_schema", name=schema.name, schema=schema.schema, strict=schema.strict
        )
    return Output(kind="json_object" if asked.type == "json_object" else "text")


def _sampling(read: _Fields) -> Sampling:
    stop = (read.stop,) if isinstance(read.stop, str) else tuple(read.stop or ())
    limit = read.max_completion_tokens
    return Sampling(
        temperature=read.temperature,
        top_p=read.top_p,
        top_k=read.top_k,
        max_tokens=read.max_tokens if limit is None else limit,
        stop=stop,
        seed=read.seed,
        presence_penalty=read.presence_penalty,
        frequency_penalty=read.frequency_penalty,
        n=read.n,
        logprobs=read.logprobs,
        top_logprobs=read.top_logprobs,
    )
