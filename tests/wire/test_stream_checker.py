"""The checker itself: it accepts what is right and finds each fault."""

import json
from typing import Any

import pytest
from tests.stream_checker import check_chat_stream, text_of, usage_in

HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return HEAD | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} | more


def call(index: int, **more: Any) -> dict[str, Any]:
    return chunk({"tool_calls": [{"index": index, **more}]})


ROLE = chunk({"role": "assistant", "content": ""})
TEXT = chunk({"content": "Hi"})
END = chunk({}, "stop")
LAST = HEAD | {"choices": [], "usage": USAGE}
ERROR: dict[str, Any] = {"error": {"message": "cut", "type": "api_error"}}
OPEN = call(0, id="a", type="function", function={"name": "f", "arguments": ""})


def stream(*events: dict[str, Any], done: bool = True) -> bytes:
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return (text + ("data: [DONE]\n\n" if done else "")).encode()


@pytest.mark.parametrize(
    "raw",
    [
        stream(ROLE, TEXT, END),
        stream(ROLE, TEXT, TEXT, END, LAST),
        stream(ROLE, END),
        stream(ROLE, OPEN, call(0, function={"arguments": "{}"}), END),
        stream(ROLE, TEXT, ERROR, done=False),
        b": ping\n\n" + stream(ROLE, TEXT, END),
    ],
)
def test_a_good_stream_passes(raw: bytes) -> None:
    assert check_chat_stream(raw)


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"", "empty"),
        (stream(ROLE, TEXT, END, done=False), "neither"),
        (stream(ROLE, TEXT), "never ended"),
        (stream(TEXT, END), "role"),
        (stream(ROLE, ROLE, END), "repeats its role"),
        (stream(ROLE, END, TEXT), "after its end"),
        (stream(ROLE, END, END), "after its end"),
        (stream(ROLE, LAST, END), "not the last"),
        (stream(ROLE, TEXT | {"usage": USAGE}, END), "beside choices"),
        (stream(ROLE, TEXT | {"id": "c2"}, END), "'id' changes"),
        (stream(ROLE, TEXT | {"created": 2}, END), "'created' changes"),
        (stream(ROLE, TEXT | {"object": "chunk"}, END), "object is"),
        (stream(ROLE, HEAD | {"choices": []}, END), "neither choices nor usage"),
        (stream(ROLE, ERROR, END), "not the last"),
        (stream(ROLE, call(0, function={"arguments": "{}"}), END), "without id"),
        (stream(ROLE, OPEN, OPEN, END), "repeats its id"),
        (stream(ROLE, call(1, id="a", function={"name": "f"}), END), "out of order"),
        (stream(ROLE, chunk({}, "because")), "because"),
        (stream(ROLE, END) + b"data: {}\n\n", "follows"),
        (stream(ROLE, END)[:-1], "not closed"),
        (b"event: x\n" + stream(ROLE, END), "more than its data line"),
        (b"hello\n\n" + stream(ROLE, END), "not a data line"),
    ],
)
def test_each_fault_is_found(raw: bytes, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_chat_stream(raw)


def test_text_and_usage_are_read_out() -> None:
    events = check_chat_stream(stream(ROLE, TEXT, TEXT, END, LAST))
    assert text_of(events) == "HiHi"
    assert usage_in(events) == USAGE
