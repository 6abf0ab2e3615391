"""Every recording of Anthropic's, through the gateway: the same message for its own clients, a good
stream for OpenAI's, however the provider's bytes were split."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.gateway.worker import Answer, Step, Worker
from tests.replay import RECORDINGS
from tests.stream_checker import check_chat_stream, text_of, usage_in
from tests.stream_checker_messages import check_messages_stream, message_of

from santral.errors import ProviderError
from santral.providers.anthropic.answer import AnswerReader

FOLDER = RECORDINGS / "anthropic"
BROKEN = {"overloaded.sse", "limited.sse"}
NAMES = sorted(file.name for file in FOLDER.glob("*.sse") if file.name not in BROKEN)
ALL = sorted([*NAMES, *BROKEN])


def steps(name: str, edges: set[int] | None = None) -> list[Step]:
    """What the provider's dialect yields for a recording whose bytes come in pieces."""
    body = (FOLDER / name).read_bytes()
    cuts = sorted(edge % len(body) for edge in edges or ())
    reader = AnswerReader(1_700_000_000)
    made: list[Step] = []
    for start, end in pairwise([0, *cuts, len(body)]):
        made += reader.feed(body[start:end])
    try:
        return made + reader.end(lambda: 1)
    except ProviderError as error:
        return [*made, error]


def ask(worker: Worker, path: str, **fields: Any) -> Answer:
    body = {"model": "plain", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return worker.post(json.dumps(body).encode(), path=path)


def without_callers(message: dict[str, Any]) -> list[Any]:
    """Content without who called a tool where it was the model itself, which is what none says."""
    return [
        {name: value for name, value in block.items() if name != "caller"}
        for block in message["content"]
    ]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "unknown.sse"])
def test_its_own_clients_get_the_message_that_was_recorded(worker: Worker, name: str) -> None:
    recorded = message_of(check_messages_stream((FOLDER / name).read_bytes()))
    worker.provider.will(steps(name))
    streamed = message_of(check_messages_stream(ask(worker, "/v1/messages", stream=True).body))
    whole = ask(worker, "/v1/messages").json
    for message in (streamed, whole):
        if name != "programmatic.sse":  # there the caller of a tool is part of the block
            assert without_callers(message) == without_callers(recorded)
        for field in ("id", "model", "stop_reason", "stop_sequence", "stop_details"):
            assert message[field] == recorded[field], field
        for field in ("input_tokens", "output_tokens", "cache_read_input_tokens"):
            assert message["usage"][field] == recorded["usage"][field]


@pytest.mark.parametrize("name", ALL)
@given(edges=st.sets(st.integers(1, 100_000), max_size=8))
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_stream_is_well_formed_in_both_dialects(
    worker: Worker, name: str, edges: set[int]
) -> None:
    worker.reset()
    worker.provider.will(steps(name, edges))
    own = ask(worker, "/v1/messages", stream=True)
    options = {"include_usage": True}
    chat = ask(worker, "/v1/chat/completions", stream=True, stream_options=options)
    if name == "limited.sse":
        assert (own.status, chat.status) == (429, 429)
        return
    events, chunks = check_messages_stream(own.body), check_chat_stream(chat.body)
    if name in BROKEN:
        assert (events[-1]["type"], "error" in chunks[-1]) == ("error", True)
        return
    message = message_of(events)
    texts = [block["text"] for block in message["content"] if block["type"] == "text"]
    assert text_of(chunks) == "".join(texts)
    usage = usage_in(chunks)
    assert usage is not None
    assert usage["completion_tokens"] == message["usage"]["output_tokens"]


@pytest.mark.parametrize("name", ["thinking_tools.sse", "interleaved.sse"])
@pytest.mark.parametrize("is_streaming", [False, True])
def test_thinking_comes_back_through_a_chat_client(
    worker: Worker, name: str, is_streaming: bool
) -> None:
    """What an OpenAI client echoes has every signature with its own text."""
    recorded = message_of(check_messages_stream((FOLDER / name).read_bytes()))
    worker.provider.will(steps(name))
    answer = ask(worker, "/v1/chat/completions", stream=is_streaming)
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    pieces = (
        [event["choices"][0]["delta"] for event in answer.events if event["choices"]]
        if is_streaming
        else [answer.json["choices"][0]["message"]]
    )
    for piece in pieces:
        message["content"] += piece.get("content") or ""
        for field in ("reasoning_content", "reasoning_details"):
            if piece.get(field):
                message[field] = message.get(field, type(piece[field])()) + piece[field]
    ask(worker, "/v1/chat/completions", messages=[message, {"role": "user", "content": "x"}])
    sent = worker.provider.asked[-1].call
    echoed = _thoughts_sent(sent)
    assert echoed == [block for block in recorded["content"] if block["type"].endswith("thinking")]


def _thoughts_sent(call: Any) -> list[dict[str, Any]]:
    from santral.providers.anthropic.request import write_request

    body = json.loads(write_request(call).body)
    return [
        block
        for turn in body["messages"]
        for block in turn["content"]
        if block["type"].endswith("thinking")
    ]
