"""Calls in OpenAI's Responses protocol: one conversation, nothing of it kept by the provider.

Source: https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from santral.providers.conversation.blocks import Audio, File, Image, Text, Thinking, ToolUse, Turn
from santral.providers.conversation.conversation import (
    Conversation,
    output_limit,
    read_conversation,
)
from santral.providers.conversation.settings import Tool, ToolChoice, read_thinking
from santral.providers.provider import ProviderCall
from santral.providers.responses.items import Item, ItemMaker
from santral.wire.loss import Losses
from santral.wire.responses import DIALECT, OPENAI

#: The least that OpenAI takes as ``max_output_tokens``. Source: its refusal, "Expected a value >= 16".
MIN_OUTPUT_TOKENS = 16

#: Fields of chat completions that mean the same here.
_ALIKE = ("metadata", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options")
#: Fields that need nothing done about them: nothing is kept, and obfuscation is between two servers.
_IDLE = frozenset({"store", "verbosity", *_ALIKE})
#: Sampling that this protocol does not offer.
_UNSAID = ("stop", "seed", "presence_penalty", "frequency_penalty", "top_k")

_REASONING = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"
#: Efforts by the thinking budget of an Anthropic client. Chosen: the budgets that OpenRouter gives
#: the same words for an answer of 32,000 tokens.
_EFFORTS = ((4096, "low"), (16_384, "medium"))

_encode = msgspec.json.Encoder().encode
_fields = msgspec.json.Decoder(dict[str, Raw])


def request_body(call: ProviderCall) -> bytes:
    """Return the body of a call; what it cannot say is noted in ``call.losses``.

    Raises:
        BadRequest: the request's messages have a shape that is not chat completions'.
        ParameterNotSupported: the route is strict, and something would be lost.
    """
    conversation = read_conversation(call.fields, keeps_system_turns=True)
    items = _Items(call.losses, keeps_audio=call.dialect == DIALECT)
    turns = [Turn(role="system", blocks=conversation.system), *conversation.turns]
    body: dict[str, Any] = {
        "model": call.model,
        "input": items.items(turns),
        "store": False,
        **_sampling(conversation, call),
        **_tools(conversation, call),
    }
    if call.is_streaming:
        body["stream"] = True
    _add_text(body, call)
    _add_reasoning(body, conversation, call)
    _add_rest(body, conversation, call)
    _add_native(body, call)
    _add_includes(body, conversation, needs_reasoning=items.has_reasoning)
    return _encode(body)


class _Items(ItemMaker):
    """What a provider takes: OpenAI's own reasoning alone, exactly as it came.

    OpenAI hears audio in chat completions only; a client of this very protocol who sends it is left to
    the server, which may be another. Source:
    https://developers.openai.com/api/docs/guides/audio-chat-completions
    """

    def __init__(self, losses: Losses, *, keeps_audio: bool) -> None:
        super().__init__()
        self._losses = losses
        self._keeps_audio = keeps_audio
        self._summary = ""
        self.has_reasoning = False

    def think(self, thinking: Thinking) -> Item | None:
        detail = thinking.detail
        if detail is None:
            return None  # text that nobody vouched for: it helps the model that said it alone
        if detail.format != OPENAI:
            if detail.signature or detail.data:
                self.lose(thinking.path)
            return None
        if not detail.data:
            self._summary = thinking.text  # the encrypted detail after it makes the item
            return None
        self.has_reasoning = True
        summary = [{"type": "summary_text", "text": self._summary}] if self._summary else []
        self._summary = ""
        item = {"type": "reasoning", "summary": summary, "encrypted_content": detail.data}
        return {**item, "id": detail.id} if detail.id else item

    def _part(self, block: Text | Image | Audio | File) -> dict[str, Any] | None:
        if isinstance(block, Audio) and not self._keeps_audio:
            self.lose(block.path)
            return None
        return super()._part(block)

    def sign(self, call: ToolUse) -> Item | None:
        self.lose(f"{call.path}.extra_content")
        return None

    def lose(self, path: str) -> None:
        self._losses.drop(path)


def _sampling(conversation: Conversation, call: ProviderCall) -> dict[str, Any]:
    sampling, losses = conversation.sampling, call.losses
    for name in _UNSAID:
        if getattr(sampling, name):
            losses.drop(name)
    if (sampling.n or 1) > 1:
        losses.change("n", 1)
    limit = output_limit(conversation, call.max_output_tokens)
    if limit is not None and limit < MIN_OUTPUT_TOKENS:
        limit = MIN_OUTPUT_TOKENS
        losses.change("max_tokens", limit)
    given: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_output_tokens": limit,
        "top_logprobs": sampling.top_logprobs,
        "parallel_tool_calls": conversation.parallel_tool_calls,
        "service_tier": conversation.service_tier or None,
        "safety_identifier": call.fields.get("safety_identifier"),
        "user": call.fields.get("user"),
    }
    return {name: value for name, value in given.items() if value is not None}


def _tools(conversation: Conversation, call: ProviderCall) -> dict[str, Any]:
    made = [_tool(tool, call) for tool in conversation.tools]
    tools = [tool for tool in made if tool is not None]
    given: dict[str, Any] = {"tools": tools} if tools else {}
    choice = _choice(conversation.tool_choice, conversation.tools)
    return given | ({"tool_choice": choice} if choice is not None else {})


def _tool(tool: Tool, call: ProviderCall) -> dict[str, Any] | Raw | None:
    if tool.kind == "native":
        if tool.dialect == DIALECT:
            return tool.json
        call.losses.drop(tool.path)
        return None
    for name in tool.extras:
        call.losses.drop(f"{tool.path}.{name}")
    made: dict[str, Any] = {"type": tool.kind, "name": tool.name}
    if tool.description:
        made["description"] = tool.description
    if tool.kind == "custom":
        return made | ({"format": _grammar(tool.format)} if tool.format is not None else {})
    made["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    if tool.strict is not None:
        made["strict"] = tool.strict
    elif call.dialect != DIALECT:
        made["strict"] = False  # what a tool is elsewhere; here a missing word means strict
    return made


def _grammar(raw: Raw) -> Any:
    """Chat completions put a grammar one level deeper."""
    fields = _fields.decode(raw)
    inner = fields.get("grammar")
    return raw if inner is None else {"type": "grammar", **_fields.decode(inner)}


def _choice(choice: ToolChoice, tools: list[Tool]) -> Any:
    kinds = {tool.name: tool.kind for tool in tools}

    def named(name: str) -> dict[str, str]:
        return {"type": kinds.get(name, "function"), "name": name}

    if choice.mode == "unset":
        return None
    if choice.mode == "tool":
        return named(choice.name)
    if choice.allowed:
        allowed = [named(name) for name in choice.allowed]
        return {"type": "allowed_tools", "mode": choice.mode, "tools": allowed}
    return choice.mode


def _add_text(body: dict[str, Any], call: ProviderCall) -> None:
    text: dict[str, Any] = {}
    asked = call.fields.get("response_format")
    if asked is not None:
        fields = _fields.decode(_encode(asked))
        schema = fields.get("json_schema")
        inner = _fields.decode(schema) if schema is not None else {}
        text["format"] = {"type": fields["type"], **inner}
    verbosity = call.fields.get("verbosity")
    if verbosity is not None:
        text["verbosity"] = verbosity
    if text:
        body["text"] = text


def _add_reasoning(body: dict[str, Any], conversation: Conversation, call: ProviderCall) -> None:
    effort, thinking = conversation.reasoning.effort, conversation.reasoning.thinking
    if not effort and thinking is not None:
        effort = _effort(thinking)
        call.losses.change("thinking", effort)
    if effort:
        body["reasoning"] = {"effort": effort}


def _effort(thinking: Raw) -> str:
    asked = read_thinking(thinking)
    if asked.is_off:
        return "none"
    if asked.budget_tokens is None:
        return "medium"  # it decides for itself how much
    return next((word for most, word in _EFFORTS if asked.budget_tokens <= most), "high")


def _add_rest(body: dict[str, Any], conversation: Conversation, call: ProviderCall) -> None:
    for name in _ALIKE:
        if name in conversation.rest:
            body[name] = conversation.rest[name]
    for name, value in conversation.rest.items():
        if name not in _IDLE or (name == "store" and bytes(_encode(value)) == b"true"):
            call.losses.drop(name)
    for path in conversation.unsaid:
        call.losses.drop(path)


def _add_native(body: dict[str, Any], call: ProviderCall) -> None:
    for name, value in call.native.items():
        if call.dialect != DIALECT:
            call.losses.drop(name)
        elif name.startswith("reasoning."):
            body.setdefault("reasoning", {})[name.partition(".")[2]] = value
        else:
            body[name] = value


def _add_includes(
    body: dict[str, Any], conversation: Conversation, *, needs_reasoning: bool
) -> None:
    """Ask for what comes only when asked for; models that do not reason refuse the question."""
    given = body.pop("include", None)
    include: list[str] = msgspec.json.decode(given, type=list[str]) if given is not None else []
    reasoning = body.get("reasoning")
    if needs_reasoning or (reasoning and reasoning.get("effort") != "none"):
        include.append(_REASONING)
    if conversation.sampling.logprobs:
        include.append(_LOGPROBS)
    if include:
        body["include"] = include
