"""Bedrock over a real socket: signatures, frames, whole answers, refusals, counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.providers.asking import HELLO, ask, call_of, losses_of, perform, said, with_provider
from tests.replay import Recording, Replay, recording

from santral.errors import (
    ConfigError,
    ContextWindowExceeded,
    ModelNotFound,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderGarbled,
    ProviderRefusedKey,
    ProviderTimeout,
    ProviderUnreachable,
)
from santral.wire.delta import ChoiceDelta, ReasoningDetail
from santral.wire.usage import Usage

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
CLAUDE = "anthropic.claude-sonnet-4-6"
PATH = f"/model/{CLAUDE}"
AWS: dict[str, Any] = {
    "kind": "bedrock",
    "region": "eu-central-1",
    "access_key_id": "env:TEST_AWS_ID",
    "secret_access_key": "env:TEST_AWS_SECRET",
}
FORM = {
    "type": "json_schema",
    "json_schema": {"name": "city", "schema": {"type": "object", "properties": {"city": {}}}},
}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_AWS_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("TEST_AWS_SECRET", SECRET)
    monkeypatch.setenv("TEST_AWS_TOKEN", "session-canary")
    monkeypatch.setenv("TEST_BEDROCK_KEY", "ABSKcanary0123456789")


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    with Replay() as running:
        yield running


@pytest.fixture
def replay(server: Replay) -> Replay:
    server.reset()
    return server


def answer(replay: Replay, name: str, model: str = CLAUDE, **more: Any) -> ChoiceDelta:
    """What a recording says: a stream cut small, or a whole answer."""
    return said(deltas_of(replay, name, model, **more))


def deltas_of(replay: Replay, name: str, model: str = CLAUDE, **more: Any) -> list[Any]:
    is_streaming = name.endswith(".bin")
    verb = "converse-stream" if is_streaming else "converse"
    replay.will(f"/model/{model}/{verb}", recording(f"bedrock/{name}", piece=37))
    return ask(replay, call_of(model, is_streaming=is_streaming, **more), **AWS)


@pytest.mark.parametrize("name", ["text", "thinking", "tools"])
def test_an_answer_says_the_same_whole_and_streamed(replay: Replay, name: str) -> None:
    whole, streamed = (deltas_of(replay, f"{name}.{kind}") for kind in ("json", "bin"))
    assert json_args(said(whole)) == json_args(said(streamed))
    assert whole[-1].usage == streamed[-1].usage


def json_args(made: ChoiceDelta) -> Any:
    calls = [(call.id, call.name, json.loads(call.arguments or "{}")) for call in made.tool_calls]
    return made.text, made.reasoning, made.details, calls, made.finish_reason


def test_a_text_comes_with_its_usage(replay: Replay) -> None:
    deltas = deltas_of(replay, "text.bin")
    assert said(deltas).text == "İstanbul is the largest city of Türkiye."
    assert said(deltas).finish_reason == "stop"
    assert deltas[-1].usage == Usage(input_uncached=12, output_text=9)
    assert {delta.model for delta in deltas} == {CLAUDE}


def test_reasoning_keeps_its_signature_and_what_is_redacted_byte_for_byte(replay: Replay) -> None:
    made = answer(replay, "thinking.bin")
    assert made.reasoning == "There is one r after t, and two at the end."
    signed, redacted = made.details
    assert signed.signature.startswith("Ep0CCkgICxAB")
    assert signed.id == f"chars-{len(made.reasoning)}"
    assert redacted == ReasoningDetail(
        type="encrypted",
        data="EmwKAhgBEgy3va3pzix/LafPsn4aFIT2Xlxh0L5L8rLVyI",
        format="anthropic-claude-v1",
    )


def test_reasoning_goes_back_as_it_came(replay: Replay) -> None:
    made = answer(replay, "thinking.bin")
    details = [
        {
            "type": f"reasoning.{detail.type}",
            "signature": detail.signature,
            "data": detail.data,
            "id": detail.id,
            "format": detail.format,
        }
        for detail in made.details
    ]
    turn: dict[str, Any] = {"role": "assistant", "content": made.text}
    turn |= {"reasoning_content": made.reasoning, "reasoning_details": details}
    fields = {"messages": [*HELLO["messages"], turn, *HELLO["messages"]]}
    answer(replay, "text.json", fields=fields)
    first, second, text = replay.asked[-1].json["messages"][1]["content"]
    assert first["reasoningContent"]["reasoningText"] == {
        "text": made.reasoning,
        "signature": details[0]["signature"],
    }
    blob = second["reasoningContent"]["redactedContent"]
    assert blob.encode() in recording("bedrock/thinking.bin").body
    assert text == {"text": "Three."}


def test_calls_count_up_and_arguments_come_in_fragments(replay: Replay) -> None:
    made = answer(replay, "tools.bin")
    assert [(c.index, c.name, c.arguments) for c in made.tool_calls] == [
        (0, "look", '{"city": "Paris"}'),
        (1, "now", ""),
    ]
    assert made.finish_reason == "tool_calls"


def test_cached_tokens_are_apart_and_written_ones_by_how_long_they_live(replay: Replay) -> None:
    used = deltas_of(replay, "cached.bin")[-1].usage
    assert used == Usage(
        input_uncached=16, cache_read=2000, cache_write=87, cache_write_1h=300, output_text=9
    )
    assert used.total_tokens == 16 + 9 + 2387


def test_a_forced_tool_is_the_answer_where_a_model_takes_no_schema(replay: Replay) -> None:
    nova = "amazon.nova-lite-v1:0"
    for name in ("answer-tool.bin", "answer-tool.json"):
        verb = "converse-stream" if name.endswith("bin") else "converse"
        replay.will(f"/model/amazon.nova-lite-v1%3A0/{verb}", recording(f"bedrock/{name}"))
        call = call_of(nova, is_streaming=name.endswith("bin"), response_format=FORM)
        made = said(ask(replay, call, **AWS))
        assert json.loads(made.text) == {"city": "Paris"}
        assert made.tool_calls == ()
        assert made.finish_reason == "stop"
        assert losses_of(call) == []
    assert replay.asked[-1].json["toolConfig"]["toolChoice"] == {"tool": {"name": "answer"}}


def test_sources_are_annotations(replay: Replay) -> None:
    for name in ("cited.bin", "cited.json"):
        (raw,) = answer(replay, name).annotations
        cited = json.loads(bytes(raw))["url_citation"]
        assert cited["title"] == "handbook"
        assert cited["cited_text"] == "Refunds within 30 days."


def test_a_guardrail_of_aws_is_a_content_filter_and_leaves_its_trace(replay: Replay) -> None:
    made = answer(replay, "guardrail.bin")
    assert (made.finish_reason, made.native_finish) == ("content_filter", "guardrail_intervened")
    (block,) = made.native
    assert "topicPolicy" in block.json.decode()


def test_usage_may_come_before_the_end(replay: Replay) -> None:
    deltas = deltas_of(replay, "usage-first.bin")
    assert deltas[-1].usage == Usage(input_uncached=5, output_text=2)


def test_the_stop_sequence_is_named(replay: Replay) -> None:
    assert answer(replay, "stop-sequence.bin").stop_sequence == "three"


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("throttled.bin", ProviderBusy, "wait before trying"),
        ("stream-error.bin", ProviderFailed, "Model Stream Error"),
        ("invalid.bin", ContextWindowExceeded, "too long"),
        ("cut.bin", ProviderUnreachable, "cut"),
        ("malformed.json", ProviderFailed, "malformed_tool_use"),
    ],
)
def test_an_answer_that_fails_says_how(
    replay: Replay, name: str, kind: type[ProviderError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        deltas_of(replay, name)


@pytest.mark.parametrize(
    ("name", "status", "header", "kind"),
    [
        ("throttled.json", 429, "ThrottlingException:http://internal.amazon.com/", ProviderBusy),
        ("invalid-model.json", 400, "ValidationException", ModelNotFound),
        ("too-long.json", 400, "ValidationException", ContextWindowExceeded),
        ("denied.json", 403, "AccessDeniedException", ProviderRefusedKey),
        ("denied.json", 403, "", ProviderRefusedKey),
        ("throttled.json", 400, "ExpiredTokenException", ProviderRefusedKey),
        ("throttled.json", 408, "ModelTimeoutException", ProviderTimeout),
        ("throttled.json", 424, "ModelErrorException", ProviderFailed),
        ("throttled.json", 429, "ModelNotReadyException", ProviderBusy),
        ("throttled.json", 503, "", ProviderFailed),
    ],
)
def test_a_refusal_has_its_class(
    replay: Replay, name: str, status: int, header: str, kind: type[ProviderError]
) -> None:
    headers = {"x-amzn-errortype": header} if header else {}
    refused = recording(f"bedrock/{name}", status=status, headers=headers)
    replay.will(f"{PATH}/converse", refused)
    with pytest.raises(ProviderError) as caught:
        ask(replay, call_of(CLAUDE), **AWS)
    assert type(caught.value) is kind


def test_the_class_may_stand_in_the_body(replay: Replay) -> None:
    body = b'{"__type":"com.amazon.coral.service#ThrottlingException","message":"Rate exceeded"}'
    replay.will(f"{PATH}/converse", Recording(body, status=400))
    with pytest.raises(ProviderBusy, match="Rate exceeded"):
        ask(replay, call_of(CLAUDE), **AWS)


def test_a_corrupted_stream_is_garbled(replay: Replay) -> None:
    body = bytearray(recording("bedrock/text.bin").body)
    body[200] ^= 1
    replay.will(f"{PATH}/converse-stream", Recording(bytes(body)))
    with pytest.raises(ProviderGarbled, match="corrupted"):
        ask(replay, call_of(CLAUDE, is_streaming=True), **AWS)


def test_a_stream_cut_after_its_end_is_whole(replay: Replay) -> None:
    body = recording("bedrock/text.bin").body[:-40]  # in the middle of the usage
    replay.will(f"{PATH}/converse-stream", Recording(body, is_cut=True))
    deltas = ask(replay, call_of(CLAUDE, is_streaming=True), **AWS)
    assert said(deltas).finish_reason == "stop"
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.is_estimated


def test_calls_are_signed_over_the_host_that_is_asked(replay: Replay) -> None:
    replay.will(f"{PATH}/converse", recording("bedrock/text.json"))
    ask(replay, call_of(CLAUDE, traceparent="00-a-b-01"), **AWS, session_token="env:TEST_AWS_TOKEN")
    headers = replay.asked[-1].headers
    scope = "/eu-central-1/bedrock/aws4_request"
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert scope in headers["authorization"]
    assert (
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token"
        in headers["authorization"]
    )
    assert headers["host"] == replay.base_url.removeprefix("http://")
    assert headers["x-amz-security-token"] == "session-canary"
    assert SECRET not in json.dumps(headers)


def test_a_model_is_asked_at_the_path_that_was_signed(replay: Replay) -> None:
    arn = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc"
    path = f"/model/{quote(arn, safe='')}/converse"
    replay.will(path, recording("bedrock/text.json"))
    ask(replay, call_of(arn), **AWS)
    asked = replay.asked[-1]
    assert asked.path == path
    request = AWSRequest(
        "POST",
        f"{replay.base_url}{asked.path}",
        headers={"content-type": "application/json"},
        data=asked.body,
    )
    request.context["timestamp"] = asked.headers["x-amz-date"]
    request.headers["X-Amz-Date"] = asked.headers["x-amz-date"]
    auth = SigV4Auth(Credentials("AKIDEXAMPLE", SECRET), "bedrock", "eu-central-1")
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    assert asked.headers["authorization"].endswith(f"Signature={signature}")


def test_a_bedrock_key_is_a_bearer(replay: Replay) -> None:
    replay.will(f"{PATH}/converse", recording("bedrock/text.json"))
    settings = {"kind": "bedrock", "region": "us-east-1", "api_key": "env:TEST_BEDROCK_KEY"}
    ask(replay, call_of(CLAUDE), **settings)
    assert replay.asked[-1].headers["authorization"] == "Bearer ABSKcanary0123456789"


def test_tokens_are_counted(replay: Replay) -> None:
    replay.will(f"{PATH}/count-tokens", recording("bedrock/count.json"))
    made = perform(replay, CLAUDE, "count_tokens", **AWS)
    assert made.body == b'{"input_tokens":375}'
    assert replay.asked[-1].json["input"]["converse"]["messages"][0]["role"] == "user"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"region": None}, "needs a region"),
        ({"region": "x.evil.example/"}, "needs a region"),
        ({"access_key_id": None, "secret_access_key": None}, "needs access_key_id"),
        ({"access_key_id": None}, "belong together"),
    ],
)
def test_what_cannot_sign_in_is_refused(
    replay: Replay, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        ask(replay, call_of(CLAUDE), **AWS | changes)


@pytest.mark.parametrize(
    ("region", "address"),
    [
        ("us-gov-west-1", "https://bedrock-runtime.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_every_region_has_its_address(replay: Replay, region: str, address: str) -> None:
    async def main(provider: Any) -> str:
        return repr(provider)

    made = with_provider(replay, main, **AWS | {"region": region, "base_url": None})
    assert made == f"BedrockProvider('{address}')"
