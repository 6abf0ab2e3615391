"""Sends an answer back as the official client of each dialect does: the turn, tool results, a question."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.gateway.dialects_in import HELLO, Fields
from tests.gateway.worker import Answer
from tests.stream_checker import check_chat_stream
from tests.stream_checker_gemini import parts_of
from tests.stream_checker_messages import check_messages_stream, message_of
from tests.stream_checker_responses import check_responses_stream

RESULT = "12 degrees"
NEXT = "And then?"


def again(dialect: str, answer: Answer) -> Fields:
    """The next request of a conversation in which ``answer`` was the last turn."""
    return _AGAIN[dialect](answer, answer.headers["content-type"].startswith("text/event-stream"))


def _chat(answer: Answer, is_stream: bool) -> Fields:
    message = _joined(answer) if is_stream else answer.json["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": RESULT}
        for call in message.get("tool_calls") or ()
    ]
    question = [] if results else [{"role": "user", "content": NEXT}]
    return HELLO["chat"] | {"messages": [*HELLO["chat"]["messages"], message, *results, *question]}


def _joined(answer: Answer) -> Fields:
    """A streamed message as clients add it up: texts and lists grow, calls by their index."""
    message: Fields = {"role": "assistant", "content": ""}
    calls: dict[int, Fields] = {}
    for event in check_chat_stream(answer.body):
        for entry in event["choices"]:
            delta = entry["delta"]
            for name in ("content", "reasoning_content", "reasoning", "reasoning_details"):
                if delta.get(name):
                    message[name] = message.get(name, type(delta[name])()) + delta[name]
            for piece in delta.get("tool_calls") or ():
                _grow(
                    calls.setdefault(piece["index"], {"function": {"name": "", "arguments": ""}}),
                    piece,
                )
    return message | ({"tool_calls": [*calls.values()]} if calls else {})


def _grow(call: Fields, piece: Fields) -> None:
    for name, value in piece.get("function", {}).items():
        call["function"][name] += value or ""
    call |= {k: v for k, v in piece.items() if k not in ("function", "index") and v}


def _messages(answer: Answer, is_stream: bool) -> Fields:
    message = message_of(check_messages_stream(answer.body)) if is_stream else answer.json
    content = message["content"]
    said: list[Fields] = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": RESULT}
        for block in content
        if block["type"] == "tool_use"
    ]
    turns = [
        {"role": "assistant", "content": content},
        {"role": "user", "content": said or NEXT},
    ]
    return HELLO["messages"] | {"messages": [*HELLO["messages"]["messages"], *turns]}


def _responses(answer: Answer, is_stream: bool) -> Fields:
    body = check_responses_stream(answer.body)[-1]["response"] if is_stream else answer.json
    items: list[Fields] = [{"role": "user", "content": "Hi"}, *body["output"]]
    results = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": RESULT}
        for item in items
        if item.get("type") == "function_call"
    ]
    question = [] if results else [{"role": "user", "content": NEXT}]
    return HELLO["responses"] | {"input": [*items, *results, *question]}


def _gemini(answer: Answer, is_stream: bool) -> Fields:
    responses = (
        [json.loads(line[6:]) for line in answer.body.decode().split("\n\n") if line]
        if is_stream
        else [answer.json]
    )
    parts = [_spelled_anew(part) for part in parts_of(responses)]
    results = [
        {"functionResponse": {**_named(part["functionCall"]), "response": {"output": RESULT}}}
        for part in parts
        if "functionCall" in part
    ]
    turns = [
        {"role": "model", "parts": parts},
        {"role": "user", "parts": results or [{"text": NEXT}]},
    ]
    return HELLO["gemini"] | {"contents": [*HELLO["gemini"]["contents"], *turns]}


def _named(call: Fields) -> Fields:
    return {name: call[name] for name in ("id", "name") if name in call}


def _spelled_anew(part: Fields) -> Fields:
    """google-genai holds a signature as bytes and writes it in the other alphabet of base64."""
    if "thoughtSignature" not in part:
        return part
    data = base64.b64decode(part["thoughtSignature"])
    return {**part, "thoughtSignature": base64.urlsafe_b64encode(data).decode()}


_AGAIN: dict[str, Any] = {
    "chat": _chat,
    "messages": _messages,
    "responses": _responses,
    "gemini": _gemini,
}
