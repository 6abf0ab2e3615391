"""Files and batches with the official client, and a gateway that is killed in the middle."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable
from typing import Any

import openai
import pytest
from tests.journeys.conftest import Santral, wait_until
from tests.upstream import Upstream

pytestmark = pytest.mark.journey

ENDPOINT = "/v1/chat/completions"


def line(custom_id: str, model: str = "ok", url: str = ENDPOINT, **fields: Any) -> dict[str, Any]:
    message = {"role": "user", "content": f"Question {custom_id}"}
    body = {"model": model, "messages": [message], **fields}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


def upload(client: openai.OpenAI, *lines: dict[str, Any]) -> str:
    data = "\n".join(json.dumps(entry) for entry in lines).encode()
    return client.files.create(file=("input.jsonl", io.BytesIO(data)), purpose="batch").id


def begin(client: openai.OpenAI, *lines: dict[str, Any]) -> Any:
    return client.batches.create(
        input_file_id=upload(client, *lines), endpoint=ENDPOINT, completion_window="24h"
    )


def ended(client: openai.OpenAI, batch_id: str, within_s: float = 20) -> Any:
    def look() -> Any:
        batch = client.batches.retrieve(batch_id)
        return batch if batch.status in ("completed", "failed", "cancelled", "expired") else None

    return wait_until(look, within_s)


def completed(client: openai.OpenAI, batch_id: str) -> int:
    counts = client.batches.retrieve(batch_id).request_counts
    return counts.completed if counts else 0


def results(client: openai.OpenAI, file_id: str | None) -> dict[str, Any]:
    assert file_id
    text = client.files.content(file_id).text
    return {entry["custom_id"]: entry for entry in map(json.loads, text.splitlines())}


def test_a_batch_is_answered_by_custom_id_and_failures_have_a_file_of_their_own(
    santral: Santral,
) -> None:
    client = santral.client()
    batch = begin(client, line("a"), line("b"), line("c", model="refused"), line("d", model="nope"))
    assert batch.status == "validating"
    done = ended(client, batch.id)
    assert done.status == "completed"
    assert (done.request_counts.total, done.request_counts.completed) == (4, 2)
    assert done.request_counts.failed == 2
    good = results(client, done.output_file_id)
    assert {name: r["response"]["status_code"] for name, r in good.items()} == {"a": 200, "b": 200}
    said = good["a"]["response"]["body"]["choices"][0]["message"]["content"]
    assert said == "You asked: Question a"
    bad = results(client, done.error_file_id)
    assert bad["c"]["response"]["status_code"] == 400
    assert bad["d"]["response"]["body"]["error"]["code"] == "model_not_found"
    assert batch.id in [entry.id for entry in client.batches.list()]
    assert done.output_file_id in [file.id for file in client.files.list(purpose="batch_output")]


def test_an_input_file_that_is_wrong_fails_with_the_lines(santral: Santral) -> None:
    client = santral.client()
    batch = begin(
        client, line("a"), line("a"), line("b", url="/v1/embeddings"), line("c", stream=True)
    )
    done = ended(client, batch.id)
    assert done.status == "failed"
    found = [(error.line, error.code) for error in done.errors.data]
    assert found == [
        (2, "duplicate_custom_id"),
        (3, "mismatched_endpoint"),
        (4, "stream_not_supported"),
    ]
    assert done.output_file_id is None


def test_a_cancelled_batch_keeps_what_it_has(santral: Santral) -> None:
    client = santral.client()
    batch = begin(client, *(line(str(number), model="slow-100") for number in range(200)))
    wait_until(lambda: completed(client, batch.id), 10)
    assert client.batches.cancel(batch.id).status == "cancelling"
    done = ended(client, batch.id)
    assert done.status == "cancelled"
    assert 0 < done.request_counts.completed < 200
    assert len(results(client, done.output_file_id)) == done.request_counts.completed
    with pytest.raises(openai.BadRequestError, match="cancelled already"):
        client.batches.cancel(batch.id)


def test_a_killed_gateway_goes_on_where_it_stopped_and_bills_each_request_once(
    own_santral: Callable[..., Santral], upstream: Upstream
) -> None:
    santral = own_santral()
    client = santral.client()
    batch = begin(client, *(line(str(number), model="slow-100") for number in range(60)))
    wait_until(lambda: completed(client, batch.id) >= 5, 15)
    before = len(upstream.seen)
    for process in santral.children("gateway"):
        os.kill(process, signal.SIGKILL)

    def answers() -> bool:
        try:
            return bool(client.batches.retrieve(batch.id))
        except openai.APIConnectionError:
            return False

    wait_until(answers, 10)
    done = ended(client, batch.id, 30)
    assert done.status == "completed"
    assert done.request_counts.completed == 60
    assert len(results(client, done.output_file_id)) == 60
    asked_again = len(upstream.seen) - before
    assert asked_again < 60, "it began anew"
    page = wait_until(
        lambda: (
            found if len(found := santral.admin("/api/traces?limit=100")["traces"]) == 60 else None
        ),
        10,
    )
    assert len({trace["request_id"] for trace in page}) == 60


def test_nobody_reaches_the_files_and_batches_of_another_tenant(
    own_santral: Callable[..., Santral],
) -> None:
    santral = own_santral()
    santral.admin("/api/tenants", {"id": "other", "name": "Other"}, "POST")
    made = santral.admin("/api/keys", {"tenant_id": "other", "name": "app"}, "POST")
    mine, theirs = santral.client(), santral.client(key=made["plaintext"])
    wait_until(lambda: _is_known(theirs), 5)
    file_id = upload(mine, line("a"))
    batch = mine.batches.create(input_file_id=file_id, endpoint=ENDPOINT, completion_window="24h")
    for ask in (
        lambda: theirs.files.retrieve(file_id),
        lambda: theirs.files.content(file_id),
        lambda: theirs.files.delete(file_id),
        lambda: theirs.batches.retrieve(batch.id),
        lambda: theirs.batches.cancel(batch.id),
        lambda: theirs.batches.create(
            input_file_id=file_id, endpoint=ENDPOINT, completion_window="24h"
        ),
        lambda: theirs.files.retrieve("file-../../secret"),
    ):
        with pytest.raises(openai.NotFoundError):
            ask()
    assert list(theirs.files.list()) == []
    assert list(theirs.batches.list()) == []


def _is_known(client: openai.OpenAI) -> bool:
    try:
        return bool(client.models.list())
    except openai.AuthenticationError:
        return False


def test_files_are_kept_described_and_deleted(santral: Santral) -> None:
    client = santral.client()
    file = client.files.create(file=("ünlü.jsonl", io.BytesIO(b"{}\n")), purpose="user_data")
    assert (file.filename, file.bytes, file.purpose) == ("ünlü.jsonl", 3, "user_data")
    assert client.files.content(file.id).content == b"{}\n"
    assert client.files.retrieve(file.id) == file
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"endpoint": "/v1/audio"}, "cannot ask"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"input_file_id": "file-0"}, "no file"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(
    santral: Santral, fields: dict[str, str], words: str
) -> None:
    client = santral.client()
    wish = {"input_file_id": upload(client, line("a")), "endpoint": ENDPOINT}
    with pytest.raises(openai.APIStatusError, match=words):
        client.batches.create(**{"completion_window": "24h", **wish, **fields})  # type: ignore[arg-type]
