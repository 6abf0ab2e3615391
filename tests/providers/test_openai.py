"""The dialect against a real socket: every behaviour of the scripted provider, whole and streamed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import aclosing, suppress
from random import Random
from typing import Any

import pytest
from msgspec import Raw
from tests.stream_checker import check_chat_stream, text_of
from tests.upstream import PII, REFUSAL, Upstream, answer_to, usage_of

from santral.config.secret import SecretRef
from santral.config.upstreams import ProviderConfig, TimeoutsConfig
from santral.errors import (
    ContextWindowExceeded,
    ModelNotFound,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderGarbled,
    ProviderRefusedKey,
    ProviderRefusedRequest,
    ProviderTimeout,
    ProviderUnreachable,
)
from santral.providers.aiohttp_client import AiohttpClient
from santral.providers.connection import connect_to
from santral.providers.openai.provider import OpenAIProvider
from santral.providers.provider import ProviderCall
from santral.providers.vendor import Vendor
from santral.wire.delta import Delta
from santral.wire.render import chunk, fold, usage_chunk
from santral.wire.sse import DONE, encode_event
from santral.wire.usage import Usage

KEY = "sk-canary-0123456789abcdef"
QUESTION = "Merhaba dünya, nasılsın?"
FIELDS: dict[str, Any] = {
    "model": Raw(b'"public-name"'),
    "messages": [Raw(b'{"role":"user","content":"Merhaba d\xc3\xbcnya, nas\xc4\xb1ls\xc4\xb1n?"}')],
}
PATIENT = TimeoutsConfig(connect_s=2, first_delta_s=5, between_deltas_s=5, total_s=10)
HASTY = TimeoutsConfig(connect_s=0.5, first_delta_s=0.25, between_deltas_s=0.25, total_s=5)
SHORT = TimeoutsConfig(connect_s=0.2, first_delta_s=5, between_deltas_s=5, total_s=0.2)
BOTH = pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])


def call_of(model: str, *, is_streaming: bool, **more: Any) -> ProviderCall:
    timeouts = more.pop("timeouts", PATIENT)
    return ProviderCall(
        model=model, fields=FIELDS | more, is_streaming=is_streaming, timeouts=timeouts
    )


def provider_at(upstream: Upstream, client: AiohttpClient, **quirks: Any) -> OpenAIProvider:
    os.environ["TEST_OPENAI_KEY"] = KEY
    clock = {"wall_clock": quirks.pop("wall_clock")} if "wall_clock" in quirks else {}
    quirks.setdefault("output_limit", "max_completion_tokens")
    vendor = Vendor(kind="test", title="Test", **quirks)
    config = ProviderConfig(
        kind="test", base_url=upstream.base_url, api_key=SecretRef("env:TEST_OPENAI_KEY")
    )
    return OpenAIProvider(connect_to("test", config, vendor, client, **clock))


def ask(
    upstream: Upstream,
    model: str,
    *,
    is_streaming: bool,
    quirks: dict[str, Any] | None = None,
    **more: Any,
) -> list[Delta]:
    call = call_of(model, is_streaming=is_streaming, **more)
    return ask_with(upstream, call, **(quirks or {}))


def ask_with(upstream: Upstream, call: ProviderCall, **quirks: Any) -> list[Delta]:
    async def collect() -> list[Delta]:
        client = AiohttpClient()
        try:
            provider = provider_at(upstream, client, **quirks)
            async with aclosing(provider.stream(call)) as deltas:
                return [delta async for delta in deltas]
        finally:
            await client.close()

    return asyncio.run(collect())


def failure(upstream: Upstream, model: str, *, is_streaming: bool, **more: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ask(upstream, model, is_streaming=is_streaming, **more)
    return caught.value


def rendered(deltas: Sequence[Delta]) -> bytes:
    """The stream as a gateway sends it on: raw bytes where there are some."""
    lines: list[bytes] = []
    seen: set[int] = set()
    for delta in deltas:
        if not delta.choices and delta.usage is not None:
            lines.append(delta.raw or usage_chunk(delta, delta.usage))
            continue
        is_new = any(choice.index not in seen for choice in delta.choices)
        seen |= {choice.index for choice in delta.choices}
        lines.append(delta.raw or chunk(delta, role=is_new))
    return b"".join(map(encode_event, lines)) + DONE


def billed(question: str, text: str) -> Usage:
    usage = usage_of(question, text)
    return Usage(input_uncached=usage["prompt_tokens"], output_text=usage["completion_tokens"])


ANSWERS = {
    "ok": answer_to(QUESTION),
    "length": answer_to(QUESTION),
    "empty": "",
    "slow:20": answer_to(QUESTION),
    "usage-every": answer_to(QUESTION),
    "azure": answer_to(QUESTION),
    "pii": PII,
    "refusal": REFUSAL,
    "say:düz metin 🙂": "düz metin 🙂",
    "never-streams": answer_to(QUESTION),
    "always-streams": answer_to(QUESTION),
}


@BOTH
@pytest.mark.parametrize("model", ANSWERS)
def test_an_answer_comes_whole_and_with_what_it_was_billed(
    upstream: Upstream, model: str, is_streaming: bool
) -> None:
    deltas = ask(upstream, model, is_streaming=is_streaming)
    answer = fold(deltas)
    assert answer.choices[0].text == ANSWERS[model]
    assert answer.choices[0].finish_reason == ("length" if model == "length" else "stop")
    assert deltas[-1].usage == billed(QUESTION, ANSWERS[model])
    if is_streaming:
        assert text_of(check_chat_stream(rendered(deltas))) == ANSWERS[model]
    else:
        assert len(deltas) == 1
        assert deltas[0].is_whole
        assert bool(deltas[0].raw) == (model != "always-streams")


@pytest.mark.parametrize("model", ["sloppy", "no-done", "paced:1", "tools", "refusal:field"])
def test_every_stream_obeys_the_grammar_whatever_came(upstream: Upstream, model: str) -> None:
    deltas = ask(upstream, model, is_streaming=True)
    check_chat_stream(rendered(deltas))
    assert deltas[-1].usage is not None
    assert not deltas[-1].choices


@BOTH
def test_parallel_tool_calls_keep_their_index_and_arguments(
    upstream: Upstream, is_streaming: bool
) -> None:
    choice = fold(ask(upstream, "tools", is_streaming=is_streaming)).choices[0]
    assert [(c.id, c.name, c.arguments) for c in choice.tool_calls] == [
        ("call_a", "weather", '{"city": "İzmir"}'),
        ("call_b", "time", '{"zone": "TRT"}'),
    ]
    assert choice.finish_reason == "tool_calls"


@BOTH
def test_usage_that_does_not_come_is_estimated_and_marked(
    upstream: Upstream, is_streaming: bool
) -> None:
    usage = ask(upstream, "no-usage", is_streaming=is_streaming)[-1].usage
    assert usage is not None
    assert usage.is_estimated
    real = billed(QUESTION, answer_to(QUESTION))
    assert real.output_text <= usage.output_text <= 2 * real.output_text
    assert real.input_tokens <= usage.input_tokens <= 2 * real.input_tokens + 4


FAILURES: list[tuple[str, type[ProviderError], int | None]] = [
    ("failed", ProviderFailed, 500),
    ("failed:503", ProviderFailed, 503),
    ("failed:504", ProviderTimeout, 504),
    ("failed:408", ProviderTimeout, 408),
    ("busy", ProviderBusy, 429),
    ("no-money", ProviderRefusedKey, 429),
    ("unauthorized", ProviderRefusedKey, 401),
    ("failed:402", ProviderRefusedKey, 402),
    ("failed:403", ProviderRefusedKey, 403),
    ("refused", ProviderRefusedRequest, 400),
    ("refused:404", ModelNotFound, 404),
    ("refused:413", ProviderRefusedRequest, 413),
    ("refused:422", ProviderRefusedRequest, 422),
    ("unheard-of", ModelNotFound, 404),
    ("context", ContextWindowExceeded, 400),
    ("context:vllm", ContextWindowExceeded, 400),
    ("error-inside", ProviderFailed, 200),
    ("error-inside:overloaded_error", ProviderBusy, 200),
    ("error-inside:rate_limit_error", ProviderBusy, 200),
    ("error-inside:invalid_request_error", ProviderRefusedRequest, 200),
    ("garbled-html", ProviderGarbled, None),
    ("garbled-json", ProviderGarbled, None),
    ("garbled-type", ProviderGarbled, None),
    ("cut-start", ProviderUnreachable, None),
    ("cut-middle", ProviderUnreachable, None),
    ("redirect", ProviderFailed, 307),
]


@BOTH
@pytest.mark.parametrize(("model", "kind", "status"), FAILURES, ids=[f[0] for f in FAILURES])
def test_each_failure_has_its_error(
    upstream: Upstream,
    model: str,
    kind: type[ProviderError],
    status: int | None,
    is_streaming: bool,
) -> None:
    error = failure(upstream, model, is_streaming=is_streaming)
    assert type(error) is kind
    assert error.upstream_status == status
    assert KEY not in error.message
    assert "127.0.0.1" not in error.message


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("cut-middle", ProviderUnreachable),
        ("cut-event", ProviderUnreachable),
        ("ended-early", ProviderUnreachable),
        ("garbled-middle", ProviderGarbled),
        ("error-middle", ProviderFailed),
    ],
)
def test_what_came_before_a_failure_is_delivered(
    upstream: Upstream, model: str, kind: type[ProviderError]
) -> None:
    seen: list[Delta] = []

    async def collect() -> None:
        client = AiohttpClient()
        call = call_of(model, is_streaming=True)
        try:
            async with aclosing(provider_at(upstream, client).stream(call)) as deltas:
                async for delta in deltas:
                    seen.append(delta)  # noqa: PERF401 - kept when the stream raises
        finally:
            await client.close()

    with pytest.raises(kind):
        asyncio.run(collect())
    assert fold(seen).choices[0].text == "The beginning"


@pytest.mark.parametrize(
    ("model", "wait_s"),
    [("busy", None), ("busy:ms", 1.5), ("busy:s", 2), ("busy:float", 1.5), ("busy:date", 60.0)],
)
def test_a_hint_to_wait_is_read_in_every_form(
    upstream: Upstream, model: str, wait_s: float | None
) -> None:
    quirks = {"wall_clock": lambda: 4_000_000_000.0 - 60}
    assert failure(upstream, model, is_streaming=False, quirks=quirks).retry_after_s == wait_s


@pytest.mark.parametrize(
    ("model", "is_streaming", "timeouts", "phase"),
    [
        ("stalled", True, HASTY, "first_delta"),
        ("stalled-start", True, HASTY, "first_delta"),
        ("stalled-middle", True, HASTY, "between_deltas"),
        ("stalled-middle", True, SHORT, "total"),
        ("stalled", False, SHORT, "total"),
    ],
)
def test_each_clock_runs_out_by_its_name(
    upstream: Upstream, model: str, is_streaming: bool, timeouts: TimeoutsConfig, phase: str
) -> None:
    error = failure(upstream, model, is_streaming=is_streaming, timeouts=timeouts)
    assert isinstance(error, ProviderTimeout)
    assert error.phase == phase
    assert upstream.seen[-1].left.wait(2)


def test_a_slow_but_steady_stream_is_not_cut(upstream: Upstream) -> None:
    deltas = ask(upstream, "paced:20", is_streaming=True, timeouts=HASTY)
    assert fold(deltas).choices[0].text == answer_to(QUESTION)


def test_a_whole_answer_may_take_longer_than_a_first_delta(upstream: Upstream) -> None:
    assert ask(upstream, "slow:400", is_streaming=False, timeouts=HASTY)


def test_a_client_that_is_slow_to_read_does_not_run_out_the_providers_clock(
    upstream: Upstream,
) -> None:
    async def collect() -> int:
        client = AiohttpClient()
        call = call_of("ok", is_streaming=True, timeouts=HASTY)
        count = 0
        try:
            async with aclosing(provider_at(upstream, client).stream(call)) as deltas:
                async for _ in deltas:
                    count += 1
                    if count == 2:
                        await asyncio.sleep(0.4)
        finally:
            await client.close()
        return count

    assert asyncio.run(collect()) > 2


def test_closing_the_stream_closes_the_providers_connection_at_once(upstream: Upstream) -> None:
    async def leave() -> None:
        client = AiohttpClient()
        call = call_of("stalled-middle", is_streaming=True)
        async with aclosing(provider_at(upstream, client).stream(call)) as deltas:
            async for delta in deltas:
                if delta.has_content:
                    break
        assert await asyncio.to_thread(upstream.seen[-1].left.wait, 2)
        await client.close()

    asyncio.run(leave())


@BOTH
def test_cancelling_the_call_closes_the_providers_connection_at_once(
    upstream: Upstream, is_streaming: bool
) -> None:
    async def leave() -> None:
        client = AiohttpClient()
        upstream.reset()
        stream = provider_at(upstream, client).stream(call_of("stalled", is_streaming=is_streaming))
        task = asyncio.create_task(anext(stream))  # type: ignore[arg-type]
        while not upstream.seen:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(upstream.seen[-1].left.wait, 2)
        await client.close()

    asyncio.run(leave())


def test_nothing_is_held_after_any_mixture_of_ends(upstream: Upstream) -> None:
    models = ["ok", "paced:5", "cut-middle", "stalled-middle", "failed", "garbled-html", "stalled"]
    rng = Random(5)

    async def one(provider: OpenAIProvider, model: str, patience_s: float) -> None:
        call = call_of(model, is_streaming=rng.random() < 0.7, timeouts=HASTY)
        with suppress(ProviderError, TimeoutError):
            async with asyncio.timeout(patience_s), aclosing(provider.stream(call)) as deltas:
                async for _ in deltas:
                    pass

    async def crowd() -> None:
        client = AiohttpClient(max_connections=20)
        provider = provider_at(upstream, client)
        async with asyncio.TaskGroup() as group:
            for number in range(80):
                model = models[number % len(models)]
                group.create_task(one(provider, model, rng.uniform(0, 0.4)))
        assert client._pool is not None
        assert not client._pool.sweep._watches
        connector = client._pool.connector
        assert connector is not None
        assert not connector._acquired
        await client.close()

    asyncio.run(crowd())


def test_what_is_sent_is_what_came_but_for_the_model(upstream: Upstream) -> None:
    odd = Raw(b'{"b": 1.50, "a": [1e3]}')
    ask(upstream, "ok", is_streaming=False, frobnicate=odd, stream_options=Raw(b"{}"), stream=False)
    sent = upstream.seen[-1]
    assert bytes(odd) in sent.raw
    assert bytes(FIELDS["messages"][0]) in sent.raw
    assert set(sent.body) == {"model", "messages", "frobnicate"}
    assert sent.body["model"] == "ok"
    assert FIELDS["model"] == Raw(b'"public-name"'), "the next deployment gets the same fields"


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (None, {"include_usage": True}),
        (Raw(b"null"), {"include_usage": True}),
        (Raw(b'{"include_usage":false}'), {"include_usage": True}),
        (Raw(b'{"chunk_size":3}'), {"chunk_size": 3, "include_usage": True}),
        ({"chunk_size": 3}, {"chunk_size": 3, "include_usage": True}),
    ],
)
def test_usage_is_asked_for_on_every_stream(
    upstream: Upstream, options: Any, sent: dict[str, Any]
) -> None:
    more = {} if options is None else {"stream_options": options}
    ask(upstream, "ok", is_streaming=True, **more)
    assert upstream.seen[-1].body["stream_options"] == sent
    assert upstream.seen[-1].body["stream"] is True


def test_a_vendor_that_sends_usage_unasked_is_not_asked(upstream: Upstream) -> None:
    ask(upstream, "usage-every", is_streaming=True, quirks={"asks_usage": False})
    assert "stream_options" not in upstream.seen[-1].body


def test_a_field_goes_under_the_vendors_name(upstream: Upstream) -> None:
    quirks = {"renames": {"max_completion_tokens": "max_tokens"}}
    ask(upstream, "ok", is_streaming=False, quirks=quirks, max_completion_tokens=Raw(b"77"))
    assert upstream.seen[-1].body["max_tokens"] == 77
    assert "max_completion_tokens" not in upstream.seen[-1].body


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({}, {"max_completion_tokens": 100}),
        ({"max_tokens": Raw(b"50")}, {"max_tokens": 50}),
        ({"max_tokens": Raw(b"500")}, {"max_tokens": 100}),
        ({"max_completion_tokens": 500}, {"max_completion_tokens": 100}),
        ({"max_tokens": Raw(b"null")}, {"max_tokens": None, "max_completion_tokens": 100}),
    ],
)
def test_the_output_limit_bounds_what_the_client_asked(
    upstream: Upstream, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    call = call_of("ok", is_streaming=False, **asked)
    call.max_output_tokens = 100
    ask_with(upstream, call)
    body = upstream.seen[-1].body
    assert {name: body[name] for name in body if name.startswith("max_")} == sent


def test_the_trace_goes_along(upstream: Upstream) -> None:
    call = call_of("ok", is_streaming=False)
    call.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ask_with(upstream, call)
    assert upstream.seen[-1].headers["traceparent"] == call.traceparent
    assert upstream.seen[-1].headers["authorization"] == f"Bearer {KEY}"


def test_a_request_of_megabytes_arrives(upstream: Upstream) -> None:
    message = {"role": "user", "content": "é" * 2_000_000}
    ask(upstream, "say:ok", is_streaming=False, messages=[message])
    assert upstream.seen[-1].body["messages"] == [message]


def test_a_provider_does_not_show_its_key(upstream: Upstream) -> None:
    assert KEY not in repr(provider_at(upstream, AiohttpClient()))
