"""Asks the same in every dialect in, and reads every dialect's answers back into one form."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from tests.completion_checker import check_completion_stream
from tests.gateway.worker import Answer, Worker
from tests.stream_checker import check_chat_stream
from tests.stream_checker_gemini import check_gemini_answer, check_gemini_stream
from tests.stream_checker_messages import check_messages_stream, message_of
from tests.stream_checker_responses import check_response, check_responses_stream

Fields = dict[str, Any]

DIALECTS = ("chat", "messages", "responses", "gemini", "completions")

#: The least that asks something, and wants to see what was thought.
HELLO: dict[str, Fields] = {
    "chat": {"messages": [{"role": "user", "content": "Hi"}]},
    "messages": {
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 8000,
    },
    "responses": {"input": "Hi", "store": False, "include": ["reasoning.encrypted_content"]},
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"thinkingConfig": {"includeThoughts": True}},
    },
    "completions": {"prompt": "Hi"},
}

_PATHS = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "completions": "/v1/completions",
}


def ask(
    worker: Worker,
    dialect: str,
    route: str,
    *,
    stream: bool,
    fields: Fields,
    query: bytes = b"alt=sse",
) -> Answer:
    """Ask ``route`` in a dialect, whole or streamed; without ``query`` Gemini streams an array."""
    if dialect == "gemini":
        verb = "streamGenerateContent" if stream else "generateContent"
        path = f"/v1beta/models/{route}:{verb}"
        return worker.post(json.dumps(fields).encode(), path=path, query=query)
    body = {"model": route, **fields, **({"stream": True} if stream else {})}
    return worker.post(json.dumps(body).encode(), path=_PATHS[dialect])


@dataclass
class Heard:
    """What a client heard, whatever it speaks. Tokens: all input, all output, read from a cache."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    finish: str = ""
    tokens: tuple[int, int, int] | None = None
    error: Fields | None = None

    @property
    def is_failed(self) -> bool:
        return self.error is not None


def arguments_of(said: str) -> Any:
    """A call's arguments, as any client would see them: nothing said is an empty object."""
    try:
        return json.loads(said) if said.strip() else {}
    except ValueError:
        return said


def hear(dialect: str, answer: Answer) -> Heard:
    """Check an answer against its dialect's grammar, and return what it says."""
    if answer.status != 200:
        return Heard(error=answer.json)
    is_stream = answer.headers["content-type"].startswith("text/event-stream")
    return _READERS[dialect](answer, is_stream)


def _chat(answer: Answer, is_stream: bool) -> Heard:
    events = check_chat_stream(answer.body) if is_stream else [answer.json]
    if "error" in events[-1]:
        return Heard(error=events[-1])
    slot = "delta" if is_stream else "message"
    entries = [entry for event in events for entry in event["choices"]]
    assert {entry["index"] for entry in entries} == {0}
    said = [entry[slot] for entry in entries]
    usage = next((event["usage"] for event in events if event.get("usage")), None)
    return Heard(
        "".join(map(_spoken, said)),
        "".join(_thought(piece) for piece in said),
        tuple(_chat_calls(said)),
        _chat_finish(next(e["finish_reason"] for e in entries if e.get("finish_reason"))),
        None if usage is None else _openai_tokens(usage),
    )


def _chat_finish(said: str) -> str:
    return "tool_calls" if said == "function_call" else said


def _spoken(piece: Fields) -> str:
    transcript = (piece.get("audio") or {}).get("transcript", "")
    return (piece.get("content") or "") + (piece.get("refusal") or "") + transcript


def _thought(piece: Fields) -> str:
    """What was thought, in the field of OpenAI's imitators or in that of the vendor itself."""
    return piece.get("reasoning_content") or piece.get("reasoning") or ""


def _chat_calls(said: list[Fields]) -> list[tuple[str, Any]]:
    legacy = [piece["function_call"] for piece in said if piece.get("function_call")]
    if legacy:  # OpenAI's first form, which has no ids
        arguments = "".join(piece.get("arguments", "") for piece in legacy)
        return [(legacy[0]["name"], arguments_of(arguments))]
    calls: dict[int, list[str]] = {}
    ids: list[str] = []
    for piece in said:
        for place, call in enumerate(piece.get("tool_calls") or ()):
            made = calls.setdefault(call.get("index", place), ["", ""])
            ids += [call["id"]] if call.get("id") else []
            function = call.get("function") or call["custom"]
            made[0] += function.get("name") or ""
            made[1] += (function.get("arguments") or "") + function.get("input", "")
    assert len(set(ids)) == len(ids) == len(calls), "every call has one id of its own"
    return [(name, arguments_of(said)) for name, said in calls.values()]


def _openai_tokens(usage: Fields) -> tuple[int, int, int]:
    details = usage.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens") or usage.get("prompt_cache_hit_tokens")  # DeepSeek's name
    assert usage["total_tokens"] >= usage["prompt_tokens"]
    return (
        usage["prompt_tokens"],
        usage["total_tokens"] - usage["prompt_tokens"],  # xAI's completion leaves thoughts out
        cached or 0,
    )


_STOPS = {
    "end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "tool_use": "tool_calls",
    "max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "content_filter",
}  # fmt: skip


def _messages(answer: Answer, is_stream: bool) -> Heard:
    if is_stream:
        events = check_messages_stream(answer.body)
        if events[-1]["type"] == "error":
            return Heard(error=events[-1])
        message = message_of(events)
    else:
        message = answer.json
    assert message["id"].startswith("msg_")
    content, usage = message["content"], message["usage"]
    calls = [block for block in content if block["type"] == "tool_use"]
    assert len({call["id"] for call in calls}) == len(calls)
    cached = usage["cache_read_input_tokens"]
    return Heard(
        "".join(block["text"] for block in content if block["type"] == "text"),
        "".join(block["thinking"] for block in content if block["type"] == "thinking"),
        tuple((call["name"], call["input"]) for call in calls),
        _STOPS[message["stop_reason"]],
        (
            usage["input_tokens"] + cached + usage["cache_creation_input_tokens"],
            usage["output_tokens"],
            cached,
        ),
    )


def _responses(answer: Answer, is_stream: bool) -> Heard:
    if is_stream:
        last = check_responses_stream(answer.body)[-1]
        if last["type"] == "response.failed":
            return Heard(error=last)
        body = last["response"]
    else:
        body = answer.json
        check_response(body)
    items, usage = body["output"], body["usage"]
    ids = [item["id"] for item in items if "id" in item]
    assert len(set(ids)) == len(ids)
    calls = [item for item in items if item["type"] in ("function_call", "custom_tool_call")]
    assert len({call["call_id"] for call in calls}) == len(calls)
    parts = [part for item in items if item["type"] == "message" for part in item["content"]]
    thoughts = [part for item in items if item["type"] == "reasoning" for part in item["summary"]]
    reason: str = (body["incomplete_details"] or {}).get("reason", "")
    return Heard(
        "".join(part.get("text", "") + part.get("refusal", "") for part in parts),
        "".join(part["text"] for part in thoughts),
        tuple(
            (
                call["name"],
                arguments_of(call["arguments"] if "arguments" in call else call["input"]),
            )
            for call in calls
        ),
        {"max_output_tokens": "length", "content_filter": "content_filter"}.get(
            reason, "tool_calls" if calls else "stop"
        ),
        (
            usage["input_tokens"],
            usage["output_tokens"],
            usage["input_tokens_details"]["cached_tokens"],
        ),
    )


_GEMINI_STOPS = {
    "STOP": "", "MAX_TOKENS": "length", "SAFETY": "content_filter", "RECITATION": "content_filter",
}  # fmt: skip


def _gemini(answer: Answer, is_stream: bool) -> Heard:
    is_stream = is_stream or isinstance(answer.json, list)
    body = answer.body
    responses = check_gemini_stream(body) if is_stream else [cast("Fields", answer.json)]
    if "error" in responses[-1]:
        return Heard(error=responses[-1])
    check_gemini_answer(responses[-1])
    candidates = [entry for response in responses for entry in response["candidates"]]
    parts = [part for entry in candidates for part in entry["content"]["parts"]]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    finish, usage = candidates[-1]["finishReason"], responses[-1]["usageMetadata"]
    return Heard(
        "".join(part.get("text", "") for part in parts if not part.get("thought")),
        "".join(part.get("text", "") for part in parts if part.get("thought")),
        tuple((call["name"], call.get("args", {})) for call in calls),
        _GEMINI_STOPS[finish] or ("tool_calls" if calls else "stop"),
        (
            usage["promptTokenCount"],
            usage["totalTokenCount"] - usage["promptTokenCount"],
            usage.get("cachedContentTokenCount", 0),
        ),
    )


def _completions(answer: Answer, is_stream: bool) -> Heard:
    if is_stream and b'"error":' in answer.body.rpartition(b"data: ")[2]:
        return Heard(error=json.loads(answer.body.rpartition(b"data: ")[2]))
    events = check_completion_stream(answer.body) if is_stream else [answer.json]
    choices = [choice for event in events for choice in event["choices"]]
    usage = next((event["usage"] for event in events if event.get("usage")), None)
    return Heard(
        "".join(choice["text"] for choice in choices),
        finish=next(c["finish_reason"] for c in choices if c["finish_reason"]),
        tokens=None if usage is None else _openai_tokens(usage),
    )


_READERS: dict[str, Callable[[Answer, bool], Heard]] = {
    "chat": _chat,
    "messages": _messages,
    "responses": _responses,
    "gemini": _gemini,
    "completions": _completions,
}
