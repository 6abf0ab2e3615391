"""Legacy completions at providers: natively in their own form, else as conversations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from msgspec import Raw
from tests.replay import Recording, Replay, recording

from santral.config.upstreams import ProviderConfig, TimeoutsConfig
from santral.errors import ProviderBusy, ProviderError, ProviderUnreachable
from santral.providers.aiohttp_client import AiohttpClient
from santral.providers.provider import ChatOnly, ProviderCall
from santral.providers.registry import build_provider
from santral.providers.tasks.complete import ECHO_MARK, PROMPT_MARK, chat_logprobs, stream_of
from santral.wire.delta import ChoiceDelta, Delta
from santral.wire.render import fold
from santral.wire.usage import Usage

PATIENT = TimeoutsConfig(connect_s=2, first_delta_s=5, between_deltas_s=5, total_s=10)
PATH = "/v1/completions"
STREAM = recording("tasks/completion.sse")


def prompts(*texts: str) -> list[Any]:
    return [
        {"role": "user", "content": text, PROMPT_MARK: number, ECHO_MARK: True}
        for number, text in enumerate(texts)
    ]


def call_of(messages: Sequence[Any], *, is_streaming: bool = False, **more: Any) -> ProviderCall:
    native = {name: Raw(json.dumps(v).encode()) for name, v in more.pop("native", {}).items()}
    limit = more.pop("max_output_tokens", None)
    return ProviderCall(
        model="m",
        fields={"model": Raw(b'"public"'), "messages": list(messages), **more},
        is_streaming=is_streaming,
        timeouts=PATIENT,
        dialect="completions",
        native=native,
        max_output_tokens=limit,
    )


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with Replay() as running:
        yield running


def ask(replay: Replay, call: ProviderCall, kind: str = "vllm") -> list[Delta]:
    async def main() -> list[Delta]:
        client = AiohttpClient(max_connections=2)
        config = ProviderConfig(kind=kind, base_url=f"{replay.base_url}/v1")
        try:
            async with aclosing(build_provider("p", config, client).stream(call)) as deltas:
                return [delta async for delta in deltas]
        finally:
            await client.close()

    replay.asked.clear()
    return asyncio.run(main())


@pytest.mark.parametrize("piece", [0, 1, 7, 64])
def test_a_native_stream_is_read_in_any_split(replay: Replay, piece: int) -> None:
    replay.will(PATH, STREAM.but(piece=piece))
    deltas = ask(replay, call_of(prompts("Say"), is_streaming=True))
    whole = fold(deltas)
    assert whole.choices[0].text == "This is ığdır"
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage == Usage(input_uncached=5, output_text=4)
    logprobs = json.loads(deltas[0].choices[0].logprobs)
    assert logprobs["content"][0]["token"] == "This"
    assert [t["token"] for t in logprobs["content"][0]["top_logprobs"]] == ["This", "That"]


def test_what_is_sent_is_the_legacy_form(replay: Replay) -> None:
    replay.will(PATH, STREAM)
    call = call_of(
        prompts("a", "b"),
        is_streaming=True,
        native={"suffix": "z", "best_of": 2},
        max_output_tokens=30,
        max_completion_tokens=Raw(b"50"),
        logprobs=Raw(b"true"),
        top_logprobs=Raw(b"3"),
        stop=Raw(b'["\\n"]'),
    )
    ask(replay, call)
    assert replay.asked[0].json == {
        "model": "m",
        "prompt": ["a", "b"],
        "max_tokens": 30,
        "logprobs": 3,
        "stop": ["\n"],
        "suffix": "z",
        "best_of": 2,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert call.losses.names() == []


def test_an_error_is_the_one_of_every_other_call(replay: Replay) -> None:
    failed = Recording(b'{"error":{"message":"slow down","type":"rate_limit"}}', status=429)
    replay.will(PATH, failed)
    with pytest.raises(ProviderBusy, match="slow down"):
        ask(replay, call_of(prompts("a")))
    inside = STREAM.body.split(b"\n\n")[0] + b'\n\ndata: {"error":{"message":"gone"}}\n\n'
    replay.will(PATH, STREAM.but(body=inside))
    with pytest.raises(ProviderError, match="gone"):
        ask(replay, call_of(prompts("a"), is_streaming=True))
    replay.will(PATH, STREAM.but(body=STREAM.body[:400], is_cut=True))
    with pytest.raises(ProviderUnreachable):
        ask(replay, call_of(prompts("a"), is_streaming=True))


CHAT = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"},
                 "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}  # fmt: skip


def test_what_stands_beside_a_prompt_makes_it_a_conversation(replay: Replay) -> None:
    """A route's own prompt, or passages: only a conversation can say them."""
    replay.will("/v1/chat/completions", Recording(json.dumps(CHAT).encode()))
    beside = {"role": "system", "content": "Be brief."}
    ask(replay, call_of([beside, *prompts("a")]))
    assert replay.asked[0].path == "/v1/chat/completions"
    assert replay.asked[0].json["messages"] == [beside, {"role": "user", "content": "a"}]


class Echo(ChatOnly):
    """Says the last message twice, numbered; a stream in pieces."""

    def __init__(self) -> None:
        self.asked: list[list[Any]] = []
        self.open = 0

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        self.asked.append(call.fields["messages"])
        text = call.fields["messages"][-1]["content"]
        used = Usage(input_uncached=2, output_text=1)
        choices = [ChoiceDelta(n, f"{text}{n}", finish_reason="stop") for n in range(2)]
        self.open += 1
        try:
            if call.is_streaming:
                for choice in choices:
                    yield Delta(choices=(choice,), raw=b"{}", id="x")
                yield Delta(usage=used)
            else:
                yield Delta(choices=tuple(choices), usage=used, is_whole=True, raw=b"{}")
        finally:
            self.open -= 1


@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])
def test_several_prompts_are_one_answer_numbered_on(is_streaming: bool) -> None:
    provider = Echo()
    beside = {"role": "system", "content": "Be brief."}
    call = call_of([beside, *prompts("a", "b", "c")], is_streaming=is_streaming, n=Raw(b"2"))

    async def main() -> list[Delta]:
        return [delta async for delta in stream_of(provider, call)]

    deltas = asyncio.run(main())
    assert all(delta.raw == b"" for delta in deltas)
    whole = fold(deltas)
    assert [(c.index, c.text) for c in whole.choices] == [
        (0, "a0"), (1, "a1"), (2, "b0"), (3, "b1"), (4, "c0"), (5, "c1"),
    ]  # fmt: skip
    assert deltas[-1].usage == Usage(input_uncached=6, output_text=3)
    assert provider.asked[1] == [beside, {"role": "user", "content": "b"}]


def test_a_client_that_leaves_closes_the_prompt_under_way() -> None:
    provider = Echo()
    call = call_of(prompts("a", "b"), is_streaming=True)

    async def main() -> None:
        async with aclosing(stream_of(provider, call)) as deltas:
            await anext(deltas)
            assert provider.open == 1
        assert provider.open == 0

    asyncio.run(main())
    assert len(provider.asked) == 1


def test_log_probabilities_may_be_missing_anywhere() -> None:
    assert chat_logprobs({}) == {"content": []}
    legacy = {"tokens": ["a", "b"], "token_logprobs": [None, -1.0], "top_logprobs": None}
    found = chat_logprobs(legacy)["content"]
    assert [entry["logprob"] for entry in found] == [None, -1.0]
