"""The grammar of Gemini's streams, checked on every stream a test sees: events, or one array.

Source: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from __future__ import annotations

import base64
import json
from typing import Any

FINISH_REASONS = {
    "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST",
    "PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL", "IMAGE_SAFETY", "UNEXPECTED_TOOL_CALL",
    "IMAGE_PROHIBITED_CONTENT", "IMAGE_OTHER", "NO_IMAGE", "IMAGE_RECITATION", "MODEL_ARMOR",
    "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE",
}  # fmt: skip

#: What one part may be, besides ``thought`` and ``thoughtSignature``.
DATA = {
    "text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode",
    "codeExecutionResult", "toolCall", "toolResponse",
}  # fmt: skip


def check_gemini_stream(raw: bytes) -> list[dict[str, Any]]:
    """Assert that ``raw`` is one well-formed stream; return its responses.

    One id and model throughout; parts of one kind each; a reason to end once a candidate, in the last
    response, together with the usage, and nowhere usage before; calls whole; an error only last.
    """
    responses = _events(raw) if raw.startswith(b"data: ") else json.loads(raw)
    assert responses, "the stream is empty"
    failures = [at for at, response in enumerate(responses) if "error" in response]
    if failures:
        assert failures == [len(responses) - 1], "an error is not the last response"
        check_gemini_error(responses[-1])
    said = [response for response in responses if "error" not in response]
    for name in ("responseId", "modelVersion"):
        assert len({response[name] for response in said}) <= 1, f"{name} changes"
    for response in said[:-1] if not failures else said:
        assert "usageMetadata" not in response, "usage comes before the end"
        assert not any("finishReason" in c for c in response["candidates"]), "an end is not the end"
    if not failures:
        check_gemini_answer(said[-1])
    seen = {candidate["index"] for response in said for candidate in response["candidates"]}
    if not failures:
        assert seen == {c["index"] for c in said[-1]["candidates"]}, "a candidate never ends"
    for response in said:
        for candidate in response["candidates"]:
            check_parts(candidate)
    return responses


def check_gemini_answer(response: dict[str, Any]) -> None:
    """Assert that this is a whole answer, or the last response of a stream."""
    for candidate in response["candidates"]:
        assert candidate["finishReason"] in FINISH_REASONS, candidate["finishReason"]
        check_parts(candidate)
    usage = response.get("usageMetadata")
    if usage is not None:
        counted = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
        assert usage["totalTokenCount"] == sum(usage.get(name, 0) for name in counted)
        details = usage["promptTokensDetails"]
        assert sum(entry["tokenCount"] for entry in details) == usage["promptTokenCount"]


def check_parts(candidate: dict[str, Any]) -> None:
    content = candidate["content"]
    assert content["role"] == "model"
    for part in content["parts"]:
        assert len(DATA & part.keys()) == 1, f"a part of no or several kinds: {part}"
        call = part.get("functionCall")
        if call is not None:
            assert call["name"]
            assert isinstance(call.get("args", {}), dict), "arguments are no object"
        if "thoughtSignature" in part:
            base64.b64decode(part["thoughtSignature"], validate=True)


def check_gemini_error(body: dict[str, Any]) -> None:
    error = body["error"]
    assert isinstance(error["code"], int)
    assert isinstance(error["message"], str)
    assert error["status"].isupper()
    for detail in error.get("details", ()):
        assert detail["@type"].startswith("type.googleapis.com/google.rpc.")


def parts_of(responses: list[dict[str, Any]], index: int = 0) -> list[dict[str, Any]]:
    """Every part of one candidate, in order."""
    return [
        part
        for response in responses
        for candidate in response.get("candidates", ())
        if candidate["index"] == index
        for part in candidate["content"]["parts"]
    ]


def text_of(responses: list[dict[str, Any]]) -> str:
    """The text of the answer, without thoughts."""
    parts = parts_of(responses)
    return "".join(part.get("text", "") for part in parts if not part.get("thought"))


def _events(raw: bytes) -> list[dict[str, Any]]:
    text = raw.decode("utf-8")
    assert text.endswith("\n\n"), "the last event is not closed by a blank line"
    responses: list[dict[str, Any]] = []
    for event in text[:-2].split("\n\n"):
        assert event.startswith("data: "), f"not an event: {event[:80]}"
        assert "\n" not in event
        responses.append(json.loads(event.removeprefix("data: ")))
    return responses
