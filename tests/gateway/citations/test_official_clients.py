"""The types of the official SDKs read our citations as their own."""

from __future__ import annotations

import json
from collections.abc import Iterator

import anthropic.types
import openai.types.chat
import openai.types.responses
import pytest
from google.genai import types as google
from tests.gateway.citations.test_citations import ANSWER, FINES, ROUTES, RULES, TOML, say
from tests.gateway.worker import Worker


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    route = "[routes.found]\nladder = [{ deployments = { one = 1 } }]\n" + ROUTES["found"]
    worker = Worker(tmp_path_factory.mktemp("worker"), TOML + route)
    yield worker
    worker.close()


@pytest.fixture
def worker(running: Worker) -> Worker:
    running.reset()
    running.find(RULES, FINES)
    return running


def test_openai_chat(worker: Worker) -> None:
    body = say(worker, "chat", ANSWER, "found", stream=False, size=4).json
    message = openai.types.chat.ChatCompletion.model_validate(body).choices[0].message
    cited = [note.url_citation for note in message.annotations or ()]
    assert [(c.title, c.url) for c in cited] == [
        ("House rules", "santral://docs/doc-rules"),
        ("Fines", "https://lib.test/fines"),
        ("House rules", "santral://docs/doc-rules"),
    ]


def test_openai_responses(worker: Worker) -> None:
    body = say(worker, "responses", ANSWER, "found", stream=False, size=4).json
    response = openai.types.responses.Response.model_validate(body)
    message = response.output[0]
    assert isinstance(message, openai.types.responses.ResponseOutputMessage)
    part = message.content[0]
    assert isinstance(part, openai.types.responses.ResponseOutputText)
    assert [note.type for note in part.annotations] == [
        "file_citation",
        "url_citation",
        "file_citation",
    ]


def test_anthropic(worker: Worker) -> None:
    body = say(worker, "messages", ANSWER, "found", stream=False, size=4).json
    message = anthropic.types.Message.model_validate(body)
    cited = [
        one
        for block in message.content
        if isinstance(block, anthropic.types.TextBlock)
        for one in block.citations or ()
    ]
    assert isinstance(cited[0], anthropic.types.CitationCharLocation)
    assert isinstance(cited[1], anthropic.types.CitationsSearchResultLocation)
    assert cited[0].cited_text == "It closes at eight on working days."


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_google(worker: Worker, stream: bool) -> None:
    answer = say(worker, "gemini", ANSWER, "found", stream=stream, size=4)
    lines = [line[5:] for line in answer.body.decode().splitlines() if line.startswith("data:")]
    body = json.loads(lines[-1]) if stream else answer.json
    response = google.GenerateContentResponse._from_response(response=body, kwargs={})
    candidates = response.candidates or []
    metadata = candidates[0].grounding_metadata
    assert metadata is not None
    chunks, supports = metadata.grounding_chunks or [], metadata.grounding_supports or []
    retrieved = chunks[0].retrieved_context
    assert retrieved is not None
    assert (retrieved.title, retrieved.text) == (
        "House rules",
        "It closes at eight on working days.",
    )
    segment = supports[0].segment
    assert segment is not None
    said = "It closes at eight [1]. Each late day costs 40 cents [2], it opens at nine 【1】."
    assert said.encode()[segment.start_index : segment.end_index].decode() == segment.text
