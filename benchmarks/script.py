"""What the scripted provider says and what it is asked: one text, two framings, three requests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

#: Size of the whole answer and number of content events, as in the measurements of other gateways
#: this harness is compared with (a typical short chat answer).
WHOLE_BYTES = 1160
CONTENT_EVENTS = 60
#: Content events, one with the usage, and [DONE].
EVENTS = CONTENT_EVENTS + 2

#: Twelve letters that the load generator makes different in every request.
COUNTER = "@@@@@@@@@@@@"

LONG_MESSAGES = 64
LONG_BYTES = 54_000

_PROSE = (
    "the exchange connects every caller with the line that answers and keeps a record of each call "
    "so that an operator can see who asked what was said how long it took and what it cost before "
    "the next one is put through while rules decide which words may leave the house at all"
)


@dataclass(frozen=True)
class Script:
    """Files that the tools read."""

    whole: Path
    messages: Path  # the whole answer as Anthropic's Messages protocol says it
    events: Path
    text: Path


def write_script(folder: Path) -> Script:
    """Write the provider's answers and the text that every gateway must hand on."""
    folder.mkdir(parents=True, exist_ok=True)
    script = Script(
        folder / "answer.json",
        folder / "messages.json",
        folder / "answer.sse",
        folder / "answer.txt",
    )
    text = _answer_text()
    script.whole.write_text(_whole(text))
    script.messages.write_text(_messages_answer(text))
    script.events.write_text(_events(text))
    script.text.write_text(text)
    return script


def request_body(model: str, prompt: str, *, is_streaming: bool) -> str:
    """Return a chat request: ``short`` is one question, ``long`` 54 kB in 64 messages."""
    messages = _long_messages() if prompt == "long" else _short_messages()
    body: dict[str, object] = {
        "model": model,
        "messages": messages,
        "temperature": 0.2,
        "max_tokens": 400,
    }
    if is_streaming:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body, separators=(",", ":"))


def messages_body(model: str, *, is_streaming: bool) -> str:
    """Return the short request as a client of Anthropic's Messages protocol sends it."""
    system, question = _short_messages()
    body: dict[str, object] = {
        "model": model,
        "system": system["content"],
        "messages": [question],
        "temperature": 0.2,
        "max_tokens": 400,
    }
    if is_streaming:
        body["stream"] = True
    return json.dumps(body, separators=(",", ":"))


def _short_messages() -> list[dict[str, str]]:
    return [
        {
            "role": "system",
            "content": "You answer questions about telephone exchanges in plain words.",
        },
        {
            "role": "user",
            "content": f"Reference {COUNTER}. {_prose(200, 3).capitalize()}. How is a call put through?",
        },
    ]


def _long_messages() -> list[dict[str, str]]:
    """64 turns; the last one carries the counter."""
    size = (LONG_BYTES - 120) // LONG_MESSAGES - 36
    turns = [
        {"role": "user" if turn % 2 else "assistant", "content": _prose(size, turn)}
        for turn in range(LONG_MESSAGES)
    ]
    turns[0] = {"role": "system", "content": _prose(size, 0)}
    turns[-1] = {"role": "user", "content": f"Reference {COUNTER}. {_prose(size - 24, 1)}"}
    return turns


def _prose(size: int, start: int) -> str:
    known, words, length = _PROSE.split(), list[str](), -1
    while length < size:
        words.append(known[(start * 7 + len(words)) % len(known)])
        length += len(words[-1]) + 1
    return " ".join(words)[:size].rstrip()


def _answer_text() -> str:
    """Text of such a length that the whole answer has ``WHOLE_BYTES``; no digits, no escapes."""
    return (
        (_prose(2000, 5))[: WHOLE_BYTES - len(_whole(""))]
        .rstrip()
        .ljust(WHOLE_BYTES - len(_whole("")), ".")
    )


_USAGE = {"prompt_tokens": 52, "completion_tokens": 160, "total_tokens": 212}


def _whole(text: str) -> str:
    answer = {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "scripted",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": _USAGE,
        "system_fingerprint": "fp_scripted",
    }
    return json.dumps(answer, separators=(",", ":"))


def _messages_answer(text: str) -> str:
    """Source of the shape: https://platform.claude.com/docs/en/api/messages"""
    answer = {
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": _USAGE["prompt_tokens"],
            "output_tokens": _USAGE["completion_tokens"],
        },
    }
    return json.dumps(answer, separators=(",", ":"))


def _pieces(text: str) -> list[str]:
    at = [round(len(text) * i / CONTENT_EVENTS) for i in range(CONTENT_EVENTS + 1)]
    return [text[a:b] for a, b in pairwise(at)]


def _events(text: str) -> str:
    head = {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "scripted",
    }
    blocks: list[object] = []
    for number, piece in enumerate(_pieces(text)):
        delta = {"role": "assistant", "content": piece} if number == 0 else {"content": piece}
        reason = "stop" if number == CONTENT_EVENTS - 1 else None
        blocks.append({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
    blocks.append({**head, "choices": [], "usage": _USAGE})
    lines = [json.dumps(block, separators=(",", ":")) for block in blocks]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"])
