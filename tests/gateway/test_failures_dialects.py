"""The last resort and the caps of a route are the same in every dialect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest
from tests.gateway.worker import Worker

from santral.config.secret import SecretRef
from santral.config.upstreams import ProviderConfig, TimeoutsConfig
from santral.errors import ProviderFailed, SantralError
from santral.providers.provider import ProviderCall
from santral.providers.registry import DIALECTS, VENDORS, build_provider
from santral.wire.chat import parse_chat

SORRY = "We will be back soon."
CONFIGURATION = f"""
[data]
folder = "data"
[providers.stub]
kind = "openai-compatible"
base_url = "http://127.0.0.1:1/v1"
[deployments.one]
provider = "stub"
model = "m-one"
retries = 0
[routes.sorry]
ladder = [{{ deployments = {{ one = 1 }} }}]
max_output_tokens = 50
last_resort = {{ message = "{SORRY}" }}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    made = Worker(tmp_path_factory.mktemp("dialects"), CONFIGURATION)
    yield made
    made.close()


@pytest.fixture
def worker(running: Worker) -> Worker:
    running.reset()
    return running


#: Path and body of one question in each dialect, with more output asked for than the route allows.
QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": "Hello"}], "max_completion_tokens": 500},
    ),
    "completions": ("/v1/completions", {"prompt": "Hello", "max_tokens": 500}),
    "messages": (
        "/v1/messages",
        {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 500},
    ),
    "responses": ("/v1/responses", {"input": "Hello", "max_output_tokens": 500}),
    "gemini": (
        "/v1beta/models/sorry:generateContent",
        {
            "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
            "generationConfig": {"maxOutputTokens": 500},
        },
    ),
}


def ask(worker: Worker, dialect: str, *, stream: bool) -> Any:
    path, body = QUESTIONS[dialect]
    if dialect == "gemini":
        path = path.replace(":generate", ":streamGenerate") if stream else path
    else:
        body = {"model": "sorry", "stream": stream} | body
    return worker.post(json.dumps(body).encode(), path=path)


both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@both_ways
@pytest.mark.parametrize("dialect", QUESTIONS)
def test_the_last_resort_is_an_answer_in_every_dialect(
    worker: Worker, dialect: str, stream: bool
) -> None:
    worker.provider.will([ProviderFailed("no")])
    answer = ask(worker, dialect, stream=stream)
    assert answer.status == 200, answer.body
    assert SORRY in answer.body.decode()
    assert answer.headers["x-santral-degraded"] == "true"
    assert worker.record.is_degraded
    assert worker.record.finish_reason == "stop"


@both_ways
@pytest.mark.parametrize("dialect", QUESTIONS)
def test_the_cap_of_a_route_holds_for_every_dialect_in(
    worker: Worker, dialect: str, stream: bool
) -> None:
    assert ask(worker, dialect, stream=stream).status == 200
    (asked,) = worker.provider.asked
    assert asked.call.max_output_tokens == 50
    assert worker.record.losses


#: What the output limit is called on the wire, by any vendor.
LIMITS = {
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "maxOutputTokens",
    "num_predict",
    "maxTokens",
}


class Sent(Exception):
    """The body that a provider would have been sent."""

    def __init__(self, body: bytes) -> None:
        self.body = json.loads(body)


class Client:
    """Sends nothing."""

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *_: Any, **__: Any
    ) -> Any:
        raise Sent(body)

    async def close(self) -> None:
        return

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"asked for {name}")


def limits_in(value: Any) -> Iterator[int]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in LIMITS:
                yield inner
            else:
                yield from limits_in(inner)


KINDS = {
    vendor.dialect: kind
    for kind, vendor in reversed(VENDORS.items())
    if vendor.dialect in DIALECTS and vendor.dialect != "tasks"  # which has no conversations
}


#: Settings without which a dialect cannot be built.
OWN: dict[str, dict[str, Any]] = {
    "bedrock": {"region": "eu-central-1"},
    "vertex": {
        "headers": {"authorization": "Bearer t"},
        "project": "my-project",
        "region": "global",
    },
}


@pytest.mark.parametrize("asked", [None, 20, 500])
@pytest.mark.parametrize("dialect", sorted(KINDS))
def test_the_cap_of_a_route_holds_for_every_dialect_out(
    monkeypatch: pytest.MonkeyPatch, dialect: str, asked: int | None
) -> None:
    monkeypatch.setenv("TEST_FAILURES_KEY", "sk-test-0123456789")
    kind = KINDS[dialect]
    config = ProviderConfig(
        kind=kind,
        api_key=SecretRef("env:TEST_FAILURES_KEY"),
        base_url=VENDORS[kind].base_url or "http://127.0.0.1:1/v1",
        **OWN.get(dialect, {}),
    )
    provider = build_provider("p", config, Client())
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
    if asked is not None:
        body["max_tokens"] = asked
    call = parse_chat(json.dumps(body).encode())
    fields: dict[str, Any] = {**call.fields, "messages": call.messages}
    sent = asyncio.run(
        _sent(
            provider.stream(
                ProviderCall(
                    model="m",
                    fields=fields,
                    is_streaming=True,
                    timeouts=TimeoutsConfig(),
                    max_output_tokens=50,
                )
            )
        )
    )
    assert set(limits_in(sent)) == {min(asked or 50, 50)}


async def _sent(deltas: AsyncIterator[Any]) -> Any:
    try:
        async for _ in deltas:
            raise AssertionError("nothing was sent")
    except Sent as sent:
        return sent.body
    except SantralError as error:
        raise AssertionError(f"it was refused: {error.message}") from error
    raise AssertionError("nothing was sent")
