"""The grammar of an OpenAI chat stream, checked on every stream a test sees.

Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

import json
from typing import Any

FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call"}


def check_chat_stream(raw: bytes) -> list[dict[str, Any]]:
    """Assert that ``raw`` is one well-formed stream; return its events without [DONE].

    Data lines and comments only, one JSON object per event, one id, role first, every choice ends
    exactly once with nothing after, tool calls open once and continue under their index, usage only
    in a last chunk without choices, and [DONE] or an error event at the end.
    """
    payloads = _payloads(raw)
    assert payloads, "the stream is empty"
    is_done = payloads[-1] == "[DONE]"
    events = [json.loads(payload) for payload in (payloads[:-1] if is_done else payloads)]
    assert all(isinstance(event, dict) for event in events), "an event is not an object"
    failures = [number for number, event in enumerate(events) if "error" in event]
    if failures:
        assert failures == [len(events) - 1], "an error event is not the last one"
        assert isinstance(events[-1]["error"].get("message"), str), "an error has no message"
    else:
        assert is_done, "neither [DONE] nor an error event ends the stream"
    chunks = [event for event in events if "error" not in event]
    _check_heads(chunks)
    states = _check_choices(chunks)
    if not failures:
        assert states, "no choice ever came"
        open_choices = [index for index, state in states.items() if not state.finish]
        assert not open_choices, f"choices {open_choices} never ended"
    return events


def text_of(events: list[dict[str, Any]], choice: int = 0) -> str:
    """The text of one choice that the events of a stream add up to."""
    return "".join(
        entry["delta"].get("content") or ""
        for event in events
        for entry in event.get("choices", ())
        if entry["index"] == choice
    )


def usage_in(events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The usage that a stream reported."""
    return next((event["usage"] for event in reversed(events) if event.get("usage")), None)


def _payloads(raw: bytes) -> list[str]:
    text = raw.decode("utf-8")  # strict: a character cut in two is an error
    assert not text or text.endswith("\n\n"), "the last event is not closed by a blank line"
    payloads: list[str] = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if not lines:
            continue
        assert len(lines) == 1, f"an event has more than its data line: {lines}"
        assert lines[0].startswith("data: "), f"not a data line: {lines[0]!r}"
        payloads.append(lines[0][len("data: ") :])
    assert "[DONE]" not in payloads[:-1], "something follows [DONE]"
    return payloads


def _check_heads(chunks: list[dict[str, Any]]) -> None:
    for field in ("id", "created", "model"):
        values = {str(chunk.get(field)) for chunk in chunks}
        assert len(values) <= 1, f"'{field}' changes within the stream: {values}"
    for number, chunk in enumerate(chunks):
        assert isinstance(chunk.get("id"), str), "a chunk has no id"
        assert chunk["id"], "a chunk's id is empty"
        assert chunk.get("object") == "chat.completion.chunk", f"object is {chunk.get('object')!r}"
        assert isinstance(chunk.get("choices"), list), "a chunk has no list of choices"
        is_last = number == len(chunks) - 1
        if not chunk["choices"]:
            assert chunk.get("usage"), "a chunk has neither choices nor usage"
            assert is_last, "the usage chunk is not the last one"
        else:
            assert chunk.get("usage") is None, "usage stands beside choices"


class _Choice:
    def __init__(self) -> None:
        self.finish: str | None = None
        self.calls: dict[int, str] = {}


def _check_choices(chunks: list[dict[str, Any]]) -> dict[int, _Choice]:
    states: dict[int, _Choice] = {}
    for chunk in chunks:
        for entry in chunk["choices"]:
            index, delta = entry.get("index"), entry.get("delta")
            assert isinstance(index, int), f"a choice has the index {index!r}"
            assert isinstance(delta, dict), f"choice {index} has no delta"
            is_first = index not in states
            state = states.setdefault(index, _Choice())
            _check_role(index, delta, is_first=is_first)
            assert state.finish is None, f"choice {index} goes on after its end"
            _check_calls(state, delta.get("tool_calls") or [])
            state.finish = entry.get("finish_reason")
            assert state.finish is None or state.finish in FINISH_REASONS, state.finish
    return states


def _check_role(index: int, delta: dict[str, Any], *, is_first: bool) -> None:
    if is_first:
        assert delta.get("role") == "assistant", f"choice {index} does not begin with its role"
    else:
        assert "role" not in delta, f"choice {index} repeats its role"
    for field in ("content", "refusal"):
        assert isinstance(delta.get(field), str | None), f"'{field}' is no text"


def _check_calls(state: _Choice, calls: list[dict[str, Any]]) -> None:
    for call in calls:
        index = call.get("index")
        assert len({"function", "custom"} & call.keys()) == 1, f"tool call {index} is of no kind"
        function, said = call.get("function"), "arguments"
        if function is None:
            function, said = call["custom"], "input"
        assert isinstance(index, int), f"a tool call has the index {index!r}"
        if index not in state.calls:
            assert index == len(state.calls), f"tool call {index} opens out of order"
            assert call.get("id"), f"tool call {index} opens without id"
            assert function.get("name"), f"tool call {index} opens without name"
            state.calls[index] = call["id"]
        else:
            assert not call.get("id"), f"tool call {index} repeats its id"
            assert not function.get("name"), f"tool call {index} repeats its name"
        assert isinstance(function.get(said, ""), str), f"{said} is no text"
