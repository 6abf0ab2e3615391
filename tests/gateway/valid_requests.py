"""Holds request bodies against the types of each vendor's official client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import botocore.session
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from botocore.validate import ParamValidator
from google.genai import types as genai
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming as ChatParams,
)
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

Body = dict[str, Any]


def typed(kind: Any) -> Callable[[Body], None]:
    """A check against a ``TypedDict``; pydantic validates its iterables only when they are read."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind)

    def check(body: Body) -> None:
        read(adapter.validate_python(body))

    return check


def read(value: Any) -> None:
    if isinstance(value, Mapping):
        for item in value.values():  # pyright: ignore[reportUnknownVariableType]
            read(item)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            read(item)


#: Fields of a request's body and what they are in google-genai, which knows no body of its own.
_GEMINI: dict[str, Any] = {
    "contents": list[genai.Content],
    "systemInstruction": genai.Content,
    "tools": list[genai.Tool],
    "toolConfig": genai.ToolConfig,
    "safetySettings": list[genai.SafetySetting],
    "generationConfig": genai.GenerationConfig,
    "labels": dict[str, str],
    "serviceTier": str,
}


def gemini(body: Body) -> None:
    """Every field is one that Gemini knows, and of its type; unknown ones are refused at any depth."""
    for name, value in body.items():
        TypeAdapter(_GEMINI[name]).validate_python(value)


def bedrock(body: Body) -> None:
    """botocore's own validation of the service's model."""
    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    shape = model.operation_model("Converse").input_shape
    report = ParamValidator().validate({"modelId": "m", **body}, shape)
    assert not report.has_errors(), report.generate_report()
    members: dict[str, Any] = shape.members  # pyright: ignore[reportAttributeAccessIssue]
    unknown = set(body) - set(members)
    assert not unknown, unknown


_responses = typed(ResponseCreateParamsNonStreaming)


def responses(body: Body) -> None:
    """An earlier answer needs no id and no status, though the SDK's type for it wants both.

    Source: https://platform.openai.com/docs/guides/conversation-state, manual management.
    """
    own = {"id": "msg_1", "status": "completed"}
    items = [own | item if item.get("role") == "assistant" else item for item in body["input"]]
    _responses({**body, "input": [_without_audio(item) for item in items]})


def _without_audio(item: Body) -> Body:
    """What came in this very protocol passes as it is, also audio that OpenAI's types do not have."""
    if not isinstance(item.get("content"), list):
        return item
    kept = [part for part in item["content"] if part["type"] != "input_audio"]
    return {**item, "content": kept}


def chat(body: Body) -> None:
    """What came in OpenAI's own dialect passes as it is, also an image that OpenAI refuses there."""
    messages = [
        {**message, "content": [part for part in message["content"] if part["type"] == "text"]}
        if message["role"] == "tool" and isinstance(message["content"], list)
        else message
        for message in body["messages"]
    ]
    _chat({**body, "messages": messages})


_chat = typed(ChatParams)


def without_unknown(check: Callable[[Body], None]) -> Callable[[Body], None]:
    return lambda body: check({k: v for k, v in body.items() if k != "unknown_canary"})


VALID: dict[str, Callable[[Body], None]] = {
    "openai": without_unknown(chat),
    "azure": without_unknown(chat),
    "anthropic": without_unknown(typed(MessageCreateParamsNonStreaming)),
    "openai-responses": without_unknown(responses),
    "gemini": gemini,
    "bedrock": bedrock,
}
