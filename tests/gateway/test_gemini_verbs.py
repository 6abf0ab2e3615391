"""Methods of Gemini that Santral does not speak: said plainly, with where to go instead."""

from __future__ import annotations

import pytest
from tests.gateway.worker import Worker
from tests.stream_checker_gemini import check_gemini_error


@pytest.mark.parametrize("verb", ["batchEmbedContents", "embedContent", "predict"])
def test_an_unknown_method_is_refused_and_names_what_is_there(worker: Worker, verb: str) -> None:
    """What the SDKs of Google and the AI SDK ask for when they embed."""
    answer = worker.post(b"{}", path=f"/v1beta/models/plain:{verb}")
    assert answer.status == 405
    check_gemini_error(answer.json)
    said = answer.json["error"]["message"]
    assert verb in said
    assert "generateContent" in said
    assert "/v1/embeddings" in said


def test_a_model_with_a_colon_is_still_looked_up(worker: Worker) -> None:
    answer = worker.post(b"", path="/v1beta/models/llama3:8b", method="GET")
    assert answer.status == 404
    assert "llama3:8b" in answer.json["error"]["message"]
    assert worker.post(b"{}", path="/v1beta/models/plain").status == 405
