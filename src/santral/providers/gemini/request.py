"""A chat call as the body of Gemini's generateContent.

Source: https://ai.google.dev/api/generate-content#request-body, google-genai 3.4 (models.py, the
converters to the Developer API and to Vertex AI).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from santral.providers.conversation.blocks import Turn
from santral.providers.conversation.conversation import (
    Conversation,
    output_limit,
    read_conversation,
)
from santral.providers.conversation.settings import Output, Sampling, Tool, ToolChoice
from santral.providers.gemini.contents import ContentsWriter
from santral.providers.gemini.model import is_third, thinking_config
from santral.providers.provider import ProviderCall
from santral.wire.gemini import TIERS_BACK
from santral.wire.loss import Losses

#: Gemini stops at five texts at most. Source: GenerationConfig.stopSequences of the reference.
MAX_STOPS = 5

#: Top-level fields of Gemini that a chat client may give by their own name (``extra_body``).
_OWN = frozenset({"safetySettings", "cachedContent", "labels", "modelArmorConfig"})

_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, Raw])


def request_body(call: ProviderCall) -> bytes:
    """Return the body of ``generateContent`` and ``streamGenerateContent``; what is lost is noted.

    Raises:
        BadRequest: the request is not of chat completions' shape.
        ParameterNotSupported: something is lost and the route is strict.
    """
    conversation = read_conversation(call.fields)
    limit = output_limit(conversation, call.max_output_tokens)
    body = conversation_fields(call.model, conversation, call.losses)
    thinking = conversation.reasoning.thinking or call.native.get("thinking")
    config = _generation_config(call.model, conversation, limit, thinking, call.losses)
    if config:
        body["generationConfig"] = config
    if conversation.service_tier not in ("", "auto"):
        _set_tier(body, conversation.service_tier, call.losses)
    _note_unsaid(conversation, call.losses)
    _add_own(body, conversation.rest, call.losses)
    _add_native(body, call)
    return _encode(body)


def conversation_fields(model: str, conversation: Conversation, losses: Losses) -> dict[str, Any]:
    """Return what is said and with which tools: all that counts as input."""
    writer = ContentsWriter(losses, is_third=is_third(model))
    system, turns = conversation.system, conversation.turns
    if system and not turns:  # Gemini answers contents alone
        system, turns = (), [Turn(role="user", blocks=system)]
    body: dict[str, Any] = {"contents": writer.write(turns)}
    instruction = writer.write_system(system)
    if instruction:
        body["systemInstruction"] = {"parts": instruction}
    tools = _tools(conversation.tools, losses)
    if tools:
        body["tools"] = tools
    config = _calling_config(conversation.tool_choice, conversation.tools)
    if config:
        body["toolConfig"] = {"functionCallingConfig": config}
    return body


def _tools(tools: list[Tool], losses: Losses) -> list[Any]:
    declared: list[dict[str, Any]] = []
    native: list[Any] = []
    for tool in tools:
        if tool.kind == "native" and tool.dialect == "gemini":
            native.append(tool.json)
        elif tool.kind == "function":
            declared.append(_declaration(tool))
            for name in tool.extras:
                losses.drop(f"{tool.path}.{name}")
        else:
            losses.drop(tool.path, "Gemini has no such tool")
    return ([{"functionDeclarations": declared}] if declared else []) + native


def _declaration(tool: Tool) -> dict[str, Any]:
    declared: dict[str, Any] = {"name": tool.name}
    if tool.description:
        declared["description"] = tool.description
    if tool.parameters is not None:
        declared["parametersJsonSchema"] = tool.parameters
    return declared


def _calling_config(choice: ToolChoice, tools: list[Tool]) -> dict[str, Any]:
    """VALIDATED is AUTO with calls held to their schema: what ``strict`` and allowed names ask for."""
    names = [choice.name] if choice.mode == "tool" else [*choice.allowed]
    mode = _MODES[choice.mode]
    if mode in ("", "AUTO") and (names or any(tool.strict for tool in tools)):
        mode = "VALIDATED"
    config: dict[str, Any] = {"mode": mode} if mode else {}
    return config | ({"allowedFunctionNames": names} if names else {})


_MODES: dict[str, str] = {
    "unset": "",
    "auto": "AUTO",
    "none": "NONE",
    "required": "ANY",
    "tool": "ANY",
}


def _generation_config(
    model: str,
    conversation: Conversation,
    limit: int | None,
    thinking: Raw | None,
    losses: Losses,
) -> dict[str, Any]:
    config = _drawing(conversation.sampling, limit, losses)
    if conversation.output.kind != "text":
        if conversation.tools and not is_third(model):
            losses.drop("response_format", f"'{model}' takes no schema together with tools")
        else:
            config |= _form(conversation.output)
    how = thinking_config(model, conversation.reasoning.effort, thinking, losses)
    if how is not None:
        config["thinkingConfig"] = how
    return config


def _drawing(sampling: Sampling, limit: int | None, losses: Losses) -> dict[str, Any]:
    stops = list(sampling.stop)
    if len(stops) > MAX_STOPS:
        losses.change("stop", f"the first {MAX_STOPS}")
        stops = stops[:MAX_STOPS]
    asked = {
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "topK": sampling.top_k,
        "maxOutputTokens": limit,
        "stopSequences": stops or None,
        "seed": sampling.seed,
        "presencePenalty": sampling.presence_penalty,
        "frequencyPenalty": sampling.frequency_penalty,
        "candidateCount": sampling.n if sampling.n != 1 else None,
        "responseLogprobs": sampling.logprobs or None,
        "logprobs": sampling.top_logprobs if sampling.logprobs else None,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _form(output: Output) -> dict[str, Any]:
    form: dict[str, Any] = {"responseMimeType": "application/json"}
    if output.schema is not None:
        form["responseJsonSchema"] = output.schema
    return form


def _set_tier(body: dict[str, Any], tier: str, losses: Losses) -> None:
    if tier in TIERS_BACK:
        body["serviceTier"] = TIERS_BACK[tier]
    else:
        losses.drop("service_tier")


def _note_unsaid(conversation: Conversation, losses: Losses) -> None:
    for name in conversation.unsaid:
        losses.drop(name)
    if conversation.parallel_tool_calls is False:
        losses.drop("parallel_tool_calls", "Gemini decides itself how many calls it makes")
    if conversation.user:
        losses.drop("user")


def _add_own(body: dict[str, Any], rest: Mapping[str, Any], losses: Losses) -> None:
    for name, value in rest.items():
        if name in _OWN:
            body[name] = value
        else:
            losses.drop(name)


def _add_native(body: dict[str, Any], call: ProviderCall) -> None:
    """Add the fields that only Gemini knows, where the request came in Gemini's own dialect."""
    for name, raw in call.native.items():
        if call.dialect != "gemini":
            if name != "thinking":  # of Anthropic's callers; it was read above
                call.losses.drop(name)
        elif name in ("generationConfig", "toolConfig"):
            body[name] = {**_object.decode(raw), **body.get(name, {})}
        else:
            body[name] = raw
