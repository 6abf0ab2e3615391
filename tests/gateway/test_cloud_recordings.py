"""Every recording of Gemini and Bedrock, through the gateway, to the clients of every protocol."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.gateway.worker import Answer, Step, Worker
from tests.replay import RECORDINGS
from tests.stream_checker import check_chat_stream, usage_in
from tests.stream_checker import text_of as chat_text
from tests.stream_checker_gemini import check_gemini_answer, check_gemini_stream, parts_of, text_of
from tests.stream_checker_messages import check_messages_stream, message_of

from santral.errors import ProviderError
from santral.providers.bedrock.answer import ConverseReader
from santral.providers.bedrock.frames import FrameReader
from santral.providers.gemini.answer import GeminiReader
from santral.wire.delta import Delta
from santral.wire.render import fold
from santral.wire.sse import SseDecoder

NAMES = sorted(
    f"{folder}/{file.name}"
    for folder, suffix in (("gemini", "sse"), ("bedrock", "bin"))
    for file in (RECORDINGS / folder).glob(f"*.{suffix}")
)
HELLO = [{"role": "user", "content": "Hi"}]
GOOD = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CUTS = st.lists(st.integers(0, 20_000), max_size=6)


def steps(name: str, cuts: list[int] | None = None) -> list[Step]:
    """What the provider's dialect yields for a recording whose bytes come in pieces."""
    body = (RECORDINGS / name).read_bytes()
    places = [0, *sorted(cut % len(body) for cut in cuts or ()), len(body)]
    made: list[Step] = []
    gemini, claude = GeminiReader(), ConverseReader("m", answer_tool="answer-tool" in name)
    events, frames = SseDecoder(), FrameReader()
    try:
        for start, end in pairwise(places):
            piece = body[start:end]
            if name.startswith("gemini"):
                made += [d for event in events.feed(piece) for d in gemini.feed(event.data)]
            else:
                made += [d for frame in frames.feed(piece) for d in claude.feed(frame)]
        made += gemini.end() if name.startswith("gemini") else claude.end()
    except ProviderError as error:
        return [*made, error]
    return made


def expected(name: str) -> tuple[str, str, int]:
    """Text, reasoning and number of calls of a recording."""
    folded = fold([step for step in steps(name) if isinstance(step, Delta)]).choices
    choice = folded[0] if folded else None
    return (choice.text, choice.reasoning, len(choice.tool_calls)) if choice else ("", "", 0)


def fails(name: str) -> bool:
    return isinstance(steps(name)[-1], Exception)


def is_stream(answer: Answer) -> bool:
    """An answer that failed before its first content is an error with a status."""
    if answer.status == 200:
        return True
    assert "error" in answer.json
    return False


def post(worker: Worker, path: str, body: dict[str, Any], query: bytes = b"") -> Answer:
    return worker.post(json.dumps(body).encode(), path=path, query=query)


@pytest.mark.parametrize("name", NAMES)
@GOOD
@given(cuts=CUTS)
def test_clients_of_chat_get_a_good_stream(worker: Worker, name: str, cuts: list[int]) -> None:
    worker.provider.will(steps(name, cuts))
    body = {"model": "plain", "messages": HELLO, "stream": True}
    body["stream_options"] = {"include_usage": True}
    answer = post(worker, "/v1/chat/completions", body)
    if is_stream(answer):
        events = check_chat_stream(answer.body)
        if not fails(name):  # what came together with an error may be left unsaid
            assert chat_text(events) == expected(name)[0]
            assert usage_in(events)


@pytest.mark.parametrize("name", NAMES)
@GOOD
@given(cuts=CUTS)
def test_clients_of_anthropic_get_a_good_stream(worker: Worker, name: str, cuts: list[int]) -> None:
    worker.provider.will(steps(name, cuts))
    body = {"model": "plain", "max_tokens": 99, "messages": HELLO, "stream": True}
    answer = post(worker, "/v1/messages", body)
    if is_stream(answer):
        events = check_messages_stream(answer.body)
        if not fails(name):
            blocks = message_of(events)["content"]
            text, _, calls = expected(name)
            assert "".join(b.get("text", "") for b in blocks if b["type"] == "text") == text
            assert len([b for b in blocks if b["type"] == "tool_use"]) == calls


@pytest.mark.parametrize("name", NAMES)
@GOOD
@given(cuts=CUTS)
def test_clients_of_gemini_get_a_good_stream(worker: Worker, name: str, cuts: list[int]) -> None:
    worker.provider.will(steps(name, cuts))
    config = {"thinkingConfig": {"includeThoughts": True}}
    body = {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": config}
    path = "/v1beta/models/plain:streamGenerateContent"
    answer = post(worker, path, body, b"alt=sse")
    if is_stream(answer):
        responses = check_gemini_stream(answer.body)
        if not fails(name):
            text, reasoning, calls = expected(name)
            parts = parts_of(responses)
            assert text_of(responses) == text
            assert "".join(p.get("text", "") for p in parts if p.get("thought")) == reasoning
            assert len([p for p in parts if "functionCall" in p]) == calls


@pytest.mark.parametrize("name", [name for name in NAMES if not fails(name)])
def test_a_whole_answer_says_what_the_stream_says(worker: Worker, name: str) -> None:
    text, _, calls = expected(name)
    worker.provider.will(steps(name))
    chat = post(worker, "/v1/chat/completions", {"model": "plain", "messages": HELLO}).json
    message = chat["choices"][0]["message"]
    assert (message["content"] or "") == text
    assert len(message.get("tool_calls") or ()) == calls
    body = {"contents": [{"parts": [{"text": "Hi"}]}]}
    gemini = post(worker, "/v1beta/models/plain:generateContent", body).json
    check_gemini_answer(gemini)
    assert text_of([gemini]) == text
    assert gemini["usageMetadata"]["totalTokenCount"] == chat["usage"]["total_tokens"]


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name.startswith("gemini") and not fails(name)]
)
def test_gemini_through_the_gateway_says_what_gemini_said(worker: Worker, name: str) -> None:
    recorded = [
        json.loads(event.data) for event in SseDecoder().feed((RECORDINGS / name).read_bytes())
    ]
    worker.provider.will(steps(name))
    config = {"thinkingConfig": {"includeThoughts": True}}
    body = {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": config}
    path = "/v1beta/models/plain:streamGenerateContent"
    made = check_gemini_stream(post(worker, path, body, b"alt=sse").body)
    last, theirs = made[-1], recorded[-1]
    assert last["candidates"][0]["finishReason"] == theirs["candidates"][0]["finishReason"]
    assert last["modelVersion"] == theirs["modelVersion"]
    assert last["responseId"] == theirs["responseId"]
    assert without_ids(parts_of(made)) == without_ids(parts_of(recorded))
    total = theirs["usageMetadata"]["totalTokenCount"]
    assert last["usageMetadata"]["totalTokenCount"] == total


def without_ids(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts that say something; ids of calls are ours where Gemini gave none."""
    calls = [part.get("functionCall", {}) for part in parts]
    for call in calls:
        call.pop("id", None)
    return [part for part in parts if part != {"text": ""}]
