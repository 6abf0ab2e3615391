"""A provider that fails, stalls or lies: replaced unseen before the first content, told after it."""

from __future__ import annotations

import json

import pytest
from tests.journeys.conftest import Santral, wait_until
from tests.stream_checker import check_chat_stream, text_of
from tests.upstream import Upstream

pytestmark = pytest.mark.journey

BEFORE_CONTENT = (
    "failed", "busy", "unauthorized", "garbled-html", "garbled-json", "cut-start",
    "stalled-start", "error-inside",
)  # fmt: skip


@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("behaviour", BEFORE_CONTENT)
def test_what_fails_before_its_first_content_is_replaced_unseen(
    santral: Santral, behaviour: str, is_streaming: bool
) -> None:
    status, headers, answer = santral.post(
        santral.chat(f"{behaviour}-or-ok", "Hello", stream=is_streaming)
    )
    assert status == 200
    assert headers["x-santral-deployment"] == "d-ok"
    if is_streaming:
        assert text_of(check_chat_stream(answer)) == "You asked: Hello"
    else:
        assert json.loads(answer)["choices"][0]["message"]["content"] == "You asked: Hello"
    trace = santral.trace(headers["x-santral-trace-id"])
    assert trace["attempts"][-1]["deployment"] == "d-ok"
    assert not trace["attempts"][-1].get("error")
    assert trace["status"] == 200


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        ("failed", 502, "provider_failed"),
        ("busy", 429, "provider_rate_limited"),
        ("unauthorized", 502, "provider_credentials_refused"),
        ("refused", 400, "provider_refused_request"),
        ("context", 400, "context_window_exceeded"),
        ("garbled-html", 502, "provider_garbled"),
        ("cut-start", 502, "provider_unreachable"),
        ("stalled", 504, "provider_timeout"),
        ("error-inside", 502, "provider_failed"),
    ],
)
def test_without_a_fallback_the_error_says_who_failed(
    own_santral_once: Santral, behaviour: str, status: int, code: str
) -> None:
    got, _, answer = own_santral_once.post(own_santral_once.chat(behaviour, stream=True))
    error = json.loads(answer)["error"]
    assert error["code"] == code, answer
    assert got == status


@pytest.mark.parametrize(
    "behaviour", ["cut-middle", "stalled-middle", "garbled-middle", "error-middle"]
)
def test_a_failure_after_content_is_the_last_event_of_the_stream(
    own_santral_once: Santral, behaviour: str
) -> None:
    status, headers, answer = own_santral_once.post(
        own_santral_once.chat(f"{behaviour}-or-ok", stream=True)
    )
    assert status == 200
    events = check_chat_stream(answer)
    assert "error" in events[-1]
    trace = own_santral_once.trace(headers["x-santral-trace-id"])
    assert len(trace["attempts"]) == 1, "nothing may be asked after content has left"
    assert trace["attempts"][0]["usage"]["is_estimated"] is True


def test_a_client_that_leaves_closes_the_provider_and_is_billed_for_what_came(
    santral: Santral, upstream: Upstream
) -> None:
    client = santral.client()
    stream = client.chat.completions.create(
        model="paced", messages=[{"role": "user", "content": "Hello " * 200}], stream=True
    )
    first = next(iter(stream))
    assert first.id
    stream.close()
    client.close()
    seen = upstream.asked("paced")[-1]
    assert seen.left.wait(1.5), "the provider's connection stayed open"

    def recorded() -> object:
        found = santral.admin("/api/traces?route=paced")["traces"]
        return next((t for t in found if t["status"] == 499), None)

    trace = santral.trace(wait_until(recorded)["trace_id"])  # type: ignore[index]
    assert trace["is_cancelled"] is True
    assert trace["attempts"][0]["error"] == "client_left"
    assert trace["attempts"][0]["usage"]["is_estimated"] is True


@pytest.fixture(scope="module")
def own_santral_once(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> object:
    """An installation whose breakers these tests may open."""
    from tests.journeys.conftest import configuration

    running = Santral(tmp_path_factory.mktemp("failures"), configuration(upstream.base_url))
    yield running
    running.stop()
