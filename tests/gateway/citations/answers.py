"""The citations of an answer in any dialect, in one form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.gateway.dialects_in import hear
from tests.gateway.worker import Answer
from tests.stream_checker_messages import check_messages_stream, message_of


@dataclass(frozen=True)
class Cited:
    """What a client is told of one citation."""

    number: int
    document_id: str
    page: int | None
    start: int | None
    end: int | None
    quote: str
    claim: str


def text_of(dialect: str, answer: Answer) -> str:
    return hear(dialect, answer).text


def cited(dialect: str, answer: Answer) -> list[Cited]:
    """Return the citations, in the order in which the client gets them."""
    text = text_of(dialect, answer)
    facts = [note["santral"] for note in notes(dialect, answer) if "santral" in note]
    return [
        Cited(
            fact["number"], fact["document_id"], fact.get("page"), fact.get("start"),
            fact.get("end"), fact["quote"], text[fact["claim_start"] : fact["claim_end"]],
        )
        for fact in facts
    ]  # fmt: skip


def notes(dialect: str, answer: Answer) -> list[dict[str, Any]]:
    """Return the citations as the protocol has them."""
    return _FORMS[dialect](answer)


def _events(answer: Answer) -> list[dict[str, Any]]:
    lines = answer.body.decode().splitlines()
    data = [line[5:].strip() for line in lines if line.startswith("data:")]
    return [json.loads(line) for line in data if line != "[DONE]"]


def _is_stream(answer: Answer) -> bool:
    return answer.headers["content-type"].startswith("text/event-stream")


def _chat(answer: Answer) -> list[dict[str, Any]]:
    slot = "delta" if _is_stream(answer) else "message"
    bodies = _events(answer) if _is_stream(answer) else [answer.json]
    said = [entry[slot] for body in bodies for entry in body["choices"]]
    return [note for piece in said for note in piece.get("annotations") or ()]


def _messages(answer: Answer) -> list[dict[str, Any]]:
    message = message_of(check_messages_stream(answer.body)) if _is_stream(answer) else answer.json
    return [note for block in message["content"] for note in block.get("citations") or ()]


def _responses(answer: Answer) -> list[dict[str, Any]]:
    body = _events(answer)[-1]["response"] if _is_stream(answer) else answer.json
    parts = [part for item in body["output"] for part in item.get("content", ())]
    return [note for part in parts for note in part.get("annotations", ())]


def _gemini(answer: Answer) -> list[dict[str, Any]]:
    body = _events(answer)[-1] if _is_stream(answer) else answer.json
    metadata = body["candidates"][0].get("groundingMetadata", {})
    return metadata.get("groundingChunks", [])


_FORMS = {"chat": _chat, "messages": _messages, "responses": _responses, "gemini": _gemini}
