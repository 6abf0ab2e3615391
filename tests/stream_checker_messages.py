"""The grammar of a stream in Anthropic's Messages protocol, checked on every one a test sees.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

import json
from typing import Any

STOP_REASONS = {
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal",
    "model_context_window_exceeded",
}  # fmt: skip
#: Which pieces a block takes; a block of another type takes none.
PIECES = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
    "server_tool_use": {"input_json_delta"},
}
_SAID = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
    "citations_delta": "citation",
}


def check_messages_stream(raw: bytes) -> list[dict[str, Any]]:
    """Assert that ``raw`` is one well-formed stream; return its events.

    Every event has the name that its data says; one message_start first; blocks open once, in
    ascending order without gaps, take pieces of their own type alone, and close before the next
    opens; a signature is the last piece of its block; then one message_delta with a stop reason and
    usage, and one message_stop. An error event may stand in place of everything after it.
    """
    events = _events(raw)
    assert events, "the stream is empty"
    failures = [n for n, event in enumerate(events) if event["type"] == "error"]
    if failures:
        assert failures == [len(events) - 1], "an error event is not the last one"
        _check_error(events[-1])
    said = [event for event in events if event["type"] not in ("ping", "error")]
    if said:
        _check_start(said[0])
        open_block = _check_blocks(said[1:])
        if not failures:
            assert open_block is None, "a block was never closed"
            _check_end(said)
    return events


def message_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that the events add up to, as an official client would build it."""
    message: dict[str, Any] = {}
    partial = ""
    for event in events:
        kind = event["type"]
        if kind == "message_start":
            message = {**event["message"], "content": []}
        elif kind == "content_block_start":
            message["content"].append({**event["content_block"]})
            partial = ""
        elif kind == "content_block_delta":
            partial = _apply(message["content"][-1], event["delta"], partial)
        elif kind == "content_block_stop" and partial:
            message["content"][-1]["input"] = json.loads(partial)
        elif kind == "message_delta":
            message |= event["delta"]
            message["usage"] = message["usage"] | event["usage"]
    return message


def _apply(block: dict[str, Any], delta: dict[str, Any], partial: str) -> str:
    name = _SAID[delta["type"]]
    if name == "partial_json":
        return partial + delta[name]
    if name == "citation":
        block["citations"] = [*(block.get("citations") or []), delta[name]]
    else:
        block[name] += delta[name]
    return partial


def _events(raw: bytes) -> list[dict[str, Any]]:
    text = raw.decode("utf-8")  # strict: a character cut in two is an error
    assert not text or text.endswith("\n\n"), "the last event is not closed by a blank line"
    events: list[dict[str, Any]] = []
    for chunk in text.split("\n\n"):
        if not chunk:
            continue
        name, _, data = chunk.partition("\n")
        assert name.startswith("event: "), f"not an event's name: {name!r}"
        assert data.startswith("data: "), f"not an event's data: {data!r}"
        assert "\n" not in data, "an event has more than two lines"
        event = json.loads(data[len("data: ") :])
        assert event["type"] == name[len("event: ") :], f"{name} says {event['type']}"
        events.append(event)
    return events


def _check_start(event: dict[str, Any]) -> None:
    assert event["type"] == "message_start", f"the stream begins with {event['type']}"
    message = event["message"]
    assert message["id"].startswith("msg_")
    assert (message["type"], message["role"]) == ("message", "assistant")
    assert message["content"] == []
    assert message["model"]
    assert message["stop_reason"] is None
    assert message["stop_sequence"] is None
    _check_usage(message["usage"])


def _check_blocks(events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the block that is still open."""
    current: dict[str, Any] | None = None
    index, partial, is_signed = -1, "", False
    for event in events:
        kind = event["type"]
        assert kind != "message_start", "the message starts twice"
        if kind == "content_block_start":
            assert current is None, f"block {event['index']} opens while {index} is open"
            assert event["index"] == index + 1, f"block {event['index']} follows {index}"
            _check_opening(event["content_block"])
            index, current, partial, is_signed = event["index"], event["content_block"], "", False
        elif kind == "content_block_delta":
            assert current is not None, "a piece came while no block was open"
            assert event["index"] == index, f"a piece for {event['index']} came in block {index}"
            delta = event["delta"]
            taken = PIECES.get(current["type"], set[str]())
            assert delta["type"] in taken, f"a {delta['type']} in a {current['type']} block"
            assert not is_signed, "a piece follows the signature"
            is_signed = delta["type"] == "signature_delta"
            partial += delta.get("partial_json", "")
        elif kind == "content_block_stop":
            assert current is not None, "a block closes that is not open"
            assert event["index"] == index
            if partial:
                assert isinstance(json.loads(partial), dict), "a tool's input is no object"
            current = None
    return current


def _check_opening(block: dict[str, Any]) -> None:
    kind = block["type"]
    if kind == "text":
        assert block["text"] == ""
    elif kind == "thinking":
        assert (block["thinking"], block["signature"]) == ("", "")
    elif kind == "redacted_thinking":
        assert block["data"]
    elif kind == "tool_use":
        assert block["id"]
        assert block["name"]
        assert isinstance(block["input"], dict)


def _check_end(events: list[dict[str, Any]]) -> None:
    kinds = [event["type"] for event in events]
    assert kinds.count("message_delta") == 1, "not one message_delta"
    assert kinds.count("message_stop") == 1, "not one message_stop"
    assert kinds[-2:] == ["message_delta", "message_stop"], f"the stream ends with {kinds[-2:]}"
    last = events[-2]
    assert last["delta"]["stop_reason"] in STOP_REASONS, last["delta"]
    is_named = last["delta"]["stop_sequence"] is not None
    assert is_named == (last["delta"]["stop_reason"] == "stop_sequence")
    _check_usage(last["usage"])


def _check_usage(usage: dict[str, Any]) -> None:
    for name in ("input_tokens", "output_tokens"):
        assert isinstance(usage[name], int)
        assert usage[name] >= 0


def _check_error(event: dict[str, Any]) -> None:
    assert isinstance(event["error"]["type"], str)
    assert isinstance(event["error"]["message"], str)
