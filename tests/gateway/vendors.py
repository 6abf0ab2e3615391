"""A gateway worker whose providers are the real ones, one of each kind, answered by recordings.

Only the HTTP client is ours: it hands out a recording's bytes in the pieces that a test wants, and
keeps what was asked. A deployment has the name of its provider's kind; ``<kind>-strict`` is a strict route to it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.gateway.worker import Worker
from tests.providers.test_recordings import REFUSALS
from tests.replay import RECORDINGS, recording

from santral.config.upstreams import TimeoutsConfig
from santral.errors import ProviderError
from santral.providers.connection import connect_to
from santral.providers.provider import ChatOnly, Provider, ProviderCall
from santral.providers.registry import DIALECTS, VENDORS
from santral.wire.delta import Delta
from santral.wire.render import fold, unfold

#: Folders of recordings whose vendor has another name.
_KINDS = {"google-openai": "gemini-openai"}
#: Recordings that answer something else than a conversation.
_OTHERS = {"tasks", "count_tokens.json", "count.json", "README.md"}

_SECRETS = {"TEST_PAIR_KEY": "sk-pair-canary-0123456789", "TEST_PAIR_ID": "AKIDEXAMPLE"}
#: A model that takes all that its dialect can say, where that depends on the model.
MODELS = {
    "bedrock": "anthropic.claude-sonnet-4-6",
    "gemini": "gemini-3.7-flash",
    "anthropic": "claude-opus-4-8",
}


@dataclass(frozen=True)
class Exchange:
    """What an upstream answers: a recording, or a body that a test made."""

    kind: str
    body: bytes
    is_stream: bool
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Sent:
    """One request as a vendor got it."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Canned:
    """An upstream client that answers every call with the current exchange."""

    def __init__(self) -> None:
        self.exchange = Exchange("", b"", is_stream=False, status=500)
        self.edges: Collection[int] = ()
        self.sent: list[Sent] = []
        self.open = 0

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: Any,
        *,
        is_streaming: bool = False,
    ) -> CannedResponse:
        self.sent.append(Sent(url, dict(headers), body))
        self.open += 1
        return CannedResponse(self)

    async def close(self) -> None:
        """Nothing is open."""


class CannedResponse:
    """The current exchange, in the pieces that its client was told."""

    def __init__(self, client: Canned) -> None:
        self._client = client
        self.status = client.exchange.status
        self.headers = client.exchange.headers
        self._is_open = True

    async def read(self) -> bytes:
        return self._client.exchange.body

    async def chunks(self) -> AsyncIterator[bytes]:
        body = self._client.exchange.body
        edges = sorted({edge % len(body) for edge in self._client.edges} - {0})
        for start, end in pairwise([0, *edges, len(body)]):
            yield body[start:end]

    def delta_came(self) -> None:
        """There is no clock."""

    async def finish(self) -> None:
        """The connection is nobody's."""

    async def close(self) -> None:
        self._client.open -= self._is_open
        self._is_open = False


class AsRecorded(ChatOnly):
    """A real provider, asked to stream where the recording is a stream, whatever the client wants.

    The gateway does so itself where it has to end an answer; a whole answer to a client that
    streams is what its caches serve.
    """

    def __init__(self, provider: Provider, client: Canned) -> None:
        self._provider = provider
        self._client = client

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        asked = msgspec.structs.replace(call, is_streaming=self._client.exchange.is_stream)
        async with aclosing(self._provider.stream(asked)) as deltas:
            async for delta in deltas:
                if not (delta.is_whole and call.is_streaming):
                    yield delta
                    continue
                for part in unfold(delta):
                    yield part


def kinds() -> list[str]:
    """Every kind that there are recordings of."""
    folders = sorted(entry.name for entry in RECORDINGS.iterdir() if entry.is_dir())
    return [_KINDS.get(name, name) for name in folders if name not in _OTHERS]


def recordings() -> list[str]:
    """Every recorded answer to a conversation, as ``<folder>/<file>``."""
    return sorted(
        f"{file.parent.name}/{file.name}"
        for file in RECORDINGS.glob("*/*")
        if not {file.name, file.parent.name} & _OTHERS
    )


#: With what status a vendor sends a body that is no answer; those of OpenAI's imitators are where
#: their refusals are tested.
_STATUSES: dict[str, int] = {
    "anthropic/error_api_error.json": 500,
    "anthropic/error_authentication_error.json": 401,
    "anthropic/error_invalid_request_error.json": 400,
    "anthropic/error_not_found_error.json": 404,
    "anthropic/error_overloaded_error.json": 529,
    "anthropic/error_rate_limit_error.json": 429,
    "bedrock/denied.json": 403,
    "bedrock/invalid-model.json": 400,
    "bedrock/throttled.json": 429,
    "bedrock/too-long.json": 400,
    "gemini/argument.json": 400,
    "gemini/busy.json": 429,
    "gemini/no-model.json": 404,
    "gemini/overloaded.json": 503,
    "gemini/too-long.json": 400,
    "gemini/wrong-key.json": 400,
    "openai-responses/unknown_model.json": 404,
}


_AWS = {
    "bedrock/denied.json": "AccessDeniedException",
    "bedrock/throttled.json": "ThrottlingException",
}


def status_of(name: str) -> tuple[int, tuple[tuple[str, str], ...]]:
    """The status and the headers that a recording came with."""
    refused = next((case for case in REFUSALS if case.file == name), None)
    if refused is not None:
        return refused.status, tuple(refused.headers.items())
    kind = _AWS.get(name, "ValidationException")
    headers = (("x-amzn-errortype", kind),) if name.startswith("bedrock/") else ()
    return _STATUSES.get(name, 200), headers


@cache
def exchange_of(
    name: str, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
) -> Exchange:
    """The recording ``name`` as an upstream sends it."""
    folder, _, file = name.partition("/")
    made = recording(name)
    named = {"content-type": made.content_type, **dict(headers)}
    is_stream = not file.endswith(".json")
    return Exchange(_KINDS.get(folder, folder), made.body, is_stream, status, headers=named)


def configuration(names: Collection[str]) -> str:
    """One provider, one deployment and one strict route a kind."""
    text = '[data]\nfolder = "data"\n'
    for kind in names:
        text += f'[providers.{kind}]\nkind = "{kind}"\nbase_url = "http://upstream.test/v1"\n'
        if kind == "bedrock":
            text += 'region = "eu-central-1"\naccess_key_id = "env:TEST_PAIR_ID"\n'
            text += 'secret_access_key = "env:TEST_PAIR_KEY"\n'
        elif VENDORS[kind].auth != "none":
            text += 'api_key = "env:TEST_PAIR_KEY"\n'
        model = MODELS.get(kind, "m-one")
        text += f'[deployments.{kind}]\nprovider = "{kind}"\nmodel = "{model}"\nretries = 0\n'
        text += f"[routes.{kind}-strict]\nladder = [{{ deployments = {{ {kind} = 1 }} }}]\n"
        text += "strict = true\n"
    return text


class VendorWorker(Worker):
    """A worker of real providers; ``upstream`` is what they talk to."""

    def __init__(self, folder: Path, names: Collection[str]) -> None:
        self.upstream = Canned()
        self.providers: dict[str, AsRecorded] = {}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in _SECRETS.items():
                patch.setenv(name, value)
            super().__init__(folder, configuration(names))

    def _build_provider(
        self, name: str, config: Any, client: Any, local: Callable[[], Provider], *_: Any
    ) -> Provider:
        vendor = VENDORS[config.kind]
        if vendor.dialect == "local":
            return local()
        made = DIALECTS[vendor.dialect](connect_to(name, config, vendor, self.upstream))
        self.providers[name] = AsRecorded(made, self.upstream)
        return self.providers[name]

    def answer_with(self, exchange: Exchange, edges: Collection[int] = ()) -> None:
        """Let the upstream answer so from now on; forget what was before."""
        self.reset()
        self.upstream.exchange, self.upstream.edges = exchange, edges
        self.upstream.sent.clear()

    def say(self, name: str, text: str) -> Exchange:
        """The whole answer ``name`` with another text."""
        exchange = exchange_of(name)
        said = self.read(name).answer.choices[0].text
        body = json.dumps(_replaced(json.loads(exchange.body), said, text)).encode()
        return replace(exchange, body=body)

    def read(
        self, name: str, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
    ) -> Reading:
        """Read a recording with its provider alone: what every dialect has to say."""
        exchange = exchange_of(name, status, headers)
        self.answer_with(exchange)
        fields = {"messages": [{"role": "user", "content": "Hi"}]}
        call = ProviderCall(
            model=MODELS.get(exchange.kind, "m-one"),
            fields=fields,
            is_streaming=exchange.is_stream,
            timeouts=TimeoutsConfig(),
        )

        async def collect() -> list[Delta]:
            async with aclosing(self.providers[exchange.kind].stream(call)) as deltas:
                return [delta async for delta in deltas]

        try:
            return Reading(fold(asyncio.run(collect())))
        except ProviderError as error:
            return Reading(Delta(), error)


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(item, old, new) for name, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, old, new) for item in value]
    return new if value == old else value


@dataclass(frozen=True)
class Reading:
    """What a recording says, or how it fails."""

    answer: Delta
    error: ProviderError | None = None
