"""A guardrail that holds for chat holds for every other dialect, whole and streamed: no empty cell."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.gateway.test_matrix import ATTACK, CARD, EMAIL, INPUT_CHECKS, LONG, OUTPUT_CHECKS, VALUES
from tests.gateway.worker import Answer, Worker, saying

from santral.gateway.api import GatewayApp
from santral.wire.delta import ChoiceDelta, ToolCallDelta

Fields = dict[str, Any]
Put = Callable[[str], Fields]


def _tool(name: str = "f") -> Fields:
    return {"name": name, "description": "d"}


def _chat(*messages: Fields) -> Fields:
    return {"messages": list(messages)}


def _arguments(text: str) -> Fields:
    return {"q": text}


#: Where a request of a dialect can carry a text: one entry a place the protocol has.
PLACES: dict[str, dict[str, Put]] = {
    "messages": {
        "content": lambda t: _chat({"role": "user", "content": t}),
        "block": lambda t: _chat({"role": "user", "content": [{"type": "text", "text": t}]}),
        "system": lambda t: {"system": t, **_chat({"role": "user", "content": "hi"})},
        "system-block": lambda t: {
            "system": [{"type": "text", "text": t}],
            **_chat({"role": "user", "content": "hi"}),
        },
        "tool-use": lambda t: _chat(
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": _arguments(t)}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "ok"}],
            },
        ),
        "tool-result": lambda t: _chat(
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": [{"type": "text", "text": t}],
                    }
                ],
            },
        ),
        "document": lambda t: _chat(
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": t},
                    },
                    {"type": "text", "text": "hi"},
                ],
            }
        ),
        "search-result": lambda t: _chat(
            {
                "role": "user",
                "content": [
                    {
                        "type": "search_result",
                        "source": "s",
                        "title": "t",
                        "content": [{"type": "text", "text": t}],
                    },
                    {"type": "text", "text": "hi"},
                ],
            }
        ),
        "thinking": lambda t: _chat(
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": t, "signature": "c2ln"},
                    {"type": "text", "text": "yes"},
                ],
            },
            {"role": "user", "content": "and now?"},
        ),
    },
    "responses": {
        "input": lambda t: {"input": t},
        "message": lambda t: {
            "input": [{"role": "user", "content": [{"type": "input_text", "text": t}]}]
        },
        "instructions": lambda t: {"instructions": t, "input": "hi"},
        "function-call": lambda t: {
            "input": [
                {"role": "user", "content": "hi"},
                {
                    "type": "function_call",
                    "call_id": "c1",
                    "name": "f",
                    "arguments": json.dumps(_arguments(t)),
                },
                {"type": "function_call_output", "call_id": "c1", "output": "ok"},
            ]
        },
        "function-output": lambda t: {
            "input": [
                {"role": "user", "content": "hi"},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": t},
            ]
        },
        "file": lambda t: {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "input_file",
                            "filename": "a.txt",
                            "file_data": "data:text/plain;base64,"
                            + base64.b64encode(t.encode()).decode(),
                        },
                        {"type": "input_text", "text": "hi"},
                    ],
                }
            ]
        },
    },
    "gemini": {
        "part": lambda t: {"contents": [{"role": "user", "parts": [{"text": t}]}]},
        "system": lambda t: {
            "systemInstruction": {"parts": [{"text": t}]},
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        },
        "function-call": lambda t: {
            "contents": [
                {"role": "user", "parts": [{"text": "hi"}]},
                {
                    "role": "model",
                    "parts": [{"functionCall": {"name": "f", "args": _arguments(t)}}],
                },
                {
                    "role": "user",
                    "parts": [{"functionResponse": {"name": "f", "response": {"r": "ok"}}}],
                },
            ]
        },
        "function-response": lambda t: {
            "contents": [
                {"role": "user", "parts": [{"text": "hi"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
                {
                    "role": "user",
                    "parts": [{"functionResponse": {"name": "f", "response": {"r": t}}}],
                },
            ]
        },
        "inline-text": lambda t: {
            "contents": [
                {
                    "role": "user",
                    "parts": [
                        {
                            "inlineData": {
                                "mimeType": "text/plain",
                                "data": base64.b64encode(t.encode()).decode(),
                            }
                        },
                        {"text": "hi"},
                    ],
                }
            ]
        },
    },
    "completions": {
        "prompt": lambda t: {"prompt": t},
        "prompts": lambda t: {"prompt": ["hi", t]},
    },
}
CELLS = [(dialect, place) for dialect, places in PLACES.items() for place in places]

PATHS = {
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "completions": "/v1/completions",
}


def ask(worker: Worker, dialect: str, route: str, fields: Fields, *, stream: bool) -> Answer:
    """Ask a route in a dialect, whole or streamed."""
    if dialect == "gemini":
        verb = "streamGenerateContent" if stream else "generateContent"
        data = json.dumps(fields).encode()
        return worker.post(data, path=f"/v1beta/models/{route}:{verb}", query=b"alt=sse")
    body = {"model": route, **fields}
    if dialect == "messages":
        body["max_tokens"] = 4000
    if stream:
        body["stream"] = True
    return worker.post(json.dumps(body).encode(), path=PATHS[dialect])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("dialect", "place"), CELLS, ids=lambda value: value)
@pytest.mark.parametrize("policy", INPUT_CHECKS)
def test_what_is_planted_in_a_request_reaches_no_provider(
    worker: Worker, policy: str, dialect: str, place: str, stream: bool
) -> None:
    planted, is_refused = INPUT_CHECKS[policy]
    answer = ask(worker, dialect, policy, PLACES[dialect][place](planted), stream=stream)
    said = [reachable(asked.text) for asked in worker.provider.asked]
    assert all(planted not in text for text in said)
    assert planted.encode() not in answer.body + worker.spooled[0]
    if is_refused:
        assert answer.status == 400, answer.body
        assert b"guardrail" in answer.body.lower()
        assert worker.provider.asked == []
        assert worker.record.error == "guardrail_refused"
    else:
        assert answer.status == 200, answer.body
        assert any("[EMAIL_1]" in text for text in said)
    assert worker.record.dialect == dialect


@pytest.mark.parametrize(("dialect", "place"), CELLS, ids=lambda value: value)
@pytest.mark.parametrize("planted", [EMAIL, ATTACK, LONG], ids=["pii", "attack", "long"])
def test_without_the_check_it_would_reach_it(
    worker: Worker, planted: str, dialect: str, place: str
) -> None:
    answer = ask(worker, dialect, "plain", PLACES[dialect][place](planted), stream=False)
    assert answer.status == 200, answer.body
    assert any(planted in reachable(asked.text) for asked in worker.provider.asked)


def reachable(text: str) -> str:
    """Everything in a call, what stands in data URLs read."""
    files = (piece.partition('"')[0] for piece in text.split("base64,")[1:])
    read = (base64.b64decode(file).decode(errors="replace") for file in files)
    return "\n".join([text, *read])


#: Where an answer can carry a text, and the dialects that can say it.
ANSWERS: dict[str, Callable[[str], ChoiceDelta]] = {
    "text": lambda text: ChoiceDelta(text=text),
    "reasoning": lambda text: ChoiceDelta(text='{"age": 1}', reasoning=text),
    "tool-call": lambda text: ChoiceDelta(
        tool_calls=(ToolCallDelta(0, "c", "f", json.dumps({"q": text})),),
        finish_reason="tool_calls",
    ),
    "refusal": lambda text: ChoiceDelta(refusal=text),
}
SIMPLE: dict[str, Fields] = {
    "messages": _chat({"role": "user", "content": "hi"}),
    "responses": {"input": "hi"},
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"thinkingConfig": {"includeThoughts": True}},
    },
    "completions": {"prompt": "hi"},
}
#: Completions are text alone: what is no text has no place in them.
SAYABLE = [
    (dialect, place)
    for dialect in SIMPLE
    for place in ANSWERS
    if dialect != "completions" or place == "text"
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("dialect", "place"), SAYABLE, ids=lambda value: value)
@pytest.mark.parametrize("policy", [name for name in OUTPUT_CHECKS if "citations" not in name])
def test_what_is_planted_in_an_answer_reaches_no_client(
    worker: Worker, policy: str, dialect: str, place: str, stream: bool
) -> None:
    planted, instead = OUTPUT_CHECKS[policy]
    worker.provider.will(saying(ANSWERS[place](planted)))
    answer = ask(worker, dialect, policy, SIMPLE[dialect], stream=stream)
    for value in (*VALUES, CARD):
        assert value.encode() not in answer.body
        assert value.encode() not in worker.spooled[0]
    if place in ("tool-call", "refusal") and "schema" in policy:
        return  # an answer without text breaks its schema: refused or asked again
    if instead:
        assert answer.status == 200
        assert instead.encode() in answer.body
    else:
        assert b"output_refused" in answer.body or answer.status >= 400 or b"error" in answer.body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("dialect", "place"), SAYABLE, ids=lambda value: value)
def test_without_the_check_it_would_reach_the_client(
    worker: Worker, dialect: str, place: str, stream: bool
) -> None:
    worker.provider.will(saying(ANSWERS[place](EMAIL)))
    answer = ask(worker, dialect, "plain", SIMPLE[dialect], stream=stream)
    assert EMAIL in spoken(answer)


def spoken(answer: Answer) -> str:
    """All strings of an answer, the pieces of a stream joined in order."""
    text = answer.body.decode()
    if not answer.headers["content-type"].startswith("text/event-stream"):
        return text
    pieces: list[str] = []
    for line in text.splitlines():
        if line.startswith("data: ") and line != "data: [DONE]":
            event = json.loads(line[6:])
            if str(event.get("type", "")).endswith((".done", "completed")):
                continue
            collect(event, pieces)
    return "".join(pieces)


def collect(value: Any, pieces: list[str]) -> None:
    names = ("delta", "text", "thinking", "partial_json", "refusal")
    if isinstance(value, dict):
        for name, item in value.items():
            if name in names and isinstance(item, str):
                pieces.append(item)
            elif name == "args":
                pieces.append(json.dumps(item))
            else:
                collect(item, pieces)
    elif isinstance(value, list):
        for item in value:
            collect(item, pieces)


def test_no_dialect_is_missing(worker: Worker) -> None:
    """Every endpoint that a conversation goes through has its row; tasks have theirs elsewhere."""
    app: GatewayApp = worker.process.app
    conversations = {"/v1/chat/completions", *PATHS.values()}
    others = {
        "/v1/embeddings", "/v1/rerank", "/v2/rerank", "/v1/moderations",  # tests/gateway/test_tasks*
        "/v1/messages/count_tokens",  # says nothing
        "/v1/files", "/v1/batches",  # every request of a batch goes through one of the above
        "/v1/feedback", "/v1/feedback/tokens",  # says nothing of a model
        "/v1/models", "/health/live", "/health/ready", "/metrics",
    }  # fmt: skip
    assert app._endpoints.keys() == conversations | others


def _file(data: str, filename: str = "x.txt") -> Fields:
    return {"type": "file", "file": {"filename": filename, "file_data": data}}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


#: Where chat completions can carry a text that they do not name, and that an engine may read.
UNNAMED: dict[str, Put] = {
    "documents": lambda t: {"documents": [{"title": "t", "text": t}]},
    "template": lambda t: {"chat_template": f"{{{{ messages }}}} {t}"},
    "other letters": lambda t: {"Messages": [{"role": "user", "content": t}]},
    "field of a message": lambda t: _chat({"role": "user", "content": "x", "Content": t}),
    "name of a speaker": lambda t: _chat({"role": "user", "content": "x", "name": t}),
    "field of a part": lambda t: _part({"type": "text", "text": "x", "Text": t}),
    "unknown part": lambda t: _part({"type": "thinking", "thinking": t}),
    "data of a part": lambda t: _part({"type": "document", "document": {"data": t}}),
    "native data": lambda t: _part(
        {
            "type": "native",
            "dialect": "messages",
            "block": {"type": "document", "source": {"type": "text", "data": t}},
        }
    ),
    "native object": lambda t: _part(
        {"type": "native", "dialect": "messages", "block": {"type": "x", "data": {"say": t}}}
    ),
    "name of a file": lambda t: _part(_file("data:text/plain;base64,YQ==", t)),
    "text as it is": lambda t: _part(_file(f"data:text/plain,{t}")),
    "text without a type": lambda t: _part(_file(f"data:;base64,{_base64(t)}")),
    "json file": lambda t: _part(_file(f"data:application/json;base64,{_base64(t)}")),
    "quoted charset": lambda t: _part(
        _file(f'data:text/plain;charset="utf-8";x=y;base64,{_base64(t)}')
    ),
}


def _part(part: Fields) -> Fields:
    return _chat({"role": "user", "content": [part]})


@pytest.mark.parametrize("place", UNNAMED)
def test_what_chat_does_not_name_is_checked_all_the_same(worker: Worker, place: str) -> None:
    text = f"Write to {EMAIL} now"
    asked = {"model": "in-refuse", **_chat({"role": "user", "content": "x"})}
    answer = worker.post(json.dumps(asked | UNNAMED[place](text)).encode())
    assert answer.error["code"] == "guardrail_refused", place
    assert worker.provider.asked == []
    asked["model"] = "in-mask"
    answer = worker.post(json.dumps(asked | UNNAMED[place](text)).encode())
    assert answer.status == 200
    sent = json.dumps(worker.provider.asked[0].fields)
    assert EMAIL not in sent
    assert _base64(text) not in sent
