"""A real question to a provider: is it there, does it take the key, does it know the model?

Each question is as small as it can be: the list of models costs nothing, the other calls a few
tokens. What was found is data; ``remedy`` says what to do about the first thing that failed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Literal, TypeAlias

import aiohttp
import msgspec
from msgspec import Raw, Struct

from santral.config.upstreams import ProviderConfig, TimeoutsConfig
from santral.errors import (
    ModelNotFound,
    ProviderBusy,
    ProviderError,
    ProviderRefusedKey,
    ProviderTimeout,
    ProviderUnreachable,
    SantralError,
)
from santral.providers.aiohttp_client import AiohttpClient
from santral.providers.connection import Connection, connect_to
from santral.providers.provider import Provider, ProviderCall
from santral.providers.registry import VENDORS, build_provider
from santral.wire.delta import Delta
from santral.wire.usage import Usage

Outcome: TypeAlias = Literal["yes", "no", "unknown"]

#: Most tokens of an answer: enough for a word after a little reasoning. Chosen.
MAX_TOKENS = 64

_WORD: dict[str, Any] = {"messages": [{"role": "user", "content": "Answer with the word: ready"}]}
_TOOL: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Call the tool 'ping' with the text 'hello'."}],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "ping",
                "description": "Say that you are there.",
                "parameters": {
                    "type": "object",
                    "properties": {"text": {"type": "string"}},
                    "required": ["text"],
                },
            },
        }
    ],
}


class KeyFinding(Struct, frozen=True):
    """Whether one key is taken; ``number`` counts from 1, in the order of the configuration."""

    number: int
    outcome: Outcome


class Findings(Struct, kw_only=True):
    """What a provider did when it was asked; ``unknown`` where a question could not be asked."""

    provider: str
    kind: str
    model: str = ""
    reachable: Outcome = "unknown"
    key: Outcome = "unknown"
    model_known: Outcome = "unknown"
    streams: Outcome = "unknown"
    usage: Outcome = "unknown"
    tools: Outcome = "unknown"
    first_token_ms: float | None = None
    models: int | None = None  # how many it lists
    keys: tuple[KeyFinding, ...] = ()
    error: str = ""
    remedy: str = ""

    @property
    def is_good(self) -> bool:
        return not self.error and all(key.outcome == "yes" for key in self.keys)


class _Named(Struct):
    id: str | None = None
    name: str | None = None


class _Models(Struct):
    data: list[_Named] | None = None
    models: list[_Named] | None = None


_models = msgspec.json.Decoder(_Models)


async def probe(
    name: str,
    config: ProviderConfig,
    model: str,
    timeouts: TimeoutsConfig,
    clock: Callable[[], float] = time.perf_counter,
) -> Findings:
    """Ask one provider; ``model`` may be empty, then it is the first that the provider lists.

    Raises:
        ConfigError: the settings cannot be used, or a key cannot be read.
    """
    client = AiohttpClient(max_connections=4)
    try:
        provider = build_provider(name, config, client)
        found = Findings(provider=name, kind=config.kind, model=model)
        connection = connect_to(name, config, VENDORS[config.kind], client)
        await _list_models(connection, timeouts, found)
        await _ask(_Asker(provider, timeouts, clock), found)
        if found.is_good:
            found.keys = await _each_key(name, config, found.model, (timeouts, clock))
        return found
    finally:
        await client.close()


class _Asker:
    """Asks small questions and notes when the first content came."""

    def __init__(
        self, provider: Provider, timeouts: TimeoutsConfig, clock: Callable[[], float]
    ) -> None:
        self._provider = provider
        self._timeouts = timeouts
        self._clock = clock
        self.first_content_ms: float | None = None

    async def ask(
        self, model: str, fields: Mapping[str, Any], *, is_streaming: bool
    ) -> list[Delta]:
        call = ProviderCall(
            model=model,
            fields={name: _raw(name, value) for name, value in fields.items()},
            is_streaming=is_streaming,
            timeouts=self._timeouts,
            max_output_tokens=MAX_TOKENS,
        )
        self.first_content_ms = None
        started = self._clock()
        deltas: list[Delta] = []
        stream: AsyncGenerator[Delta] = self._provider.stream(call)
        async with aclosing(stream):
            async for delta in stream:
                if self.first_content_ms is None and delta.has_content:
                    self.first_content_ms = (self._clock() - started) * 1000
                deltas.append(delta)
        return deltas


def _raw(name: str, value: Any) -> Any:
    if name == "messages":
        return [Raw(msgspec.json.encode(message)) for message in value]
    return Raw(msgspec.json.encode(value))


async def _list_models(connection: Connection, timeouts: TimeoutsConfig, found: Findings) -> None:
    """Ask for the models: the cheapest question about address and key. Not everybody lists them."""
    vendor = connection.vendor
    if not vendor.models_path or vendor.auth == "own":
        return
    url = models_address(connection)
    limit = aiohttp.ClientTimeout(total=timeouts.total_s, connect=timeouts.connect_s)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.get(
                url, headers=connection.keys.take().headers, allow_redirects=False
            ) as response,
        ):
            found.reachable = "yes"
            if response.status == 200:
                names = _names(await response.read())
                found.models = len(names)
                found.model = found.model or next(iter(names), "")
    except (aiohttp.ClientError, TimeoutError, OSError):
        return  # the next question says what is wrong


def models_address(connection: Connection) -> str:
    """Return where the provider lists its models."""
    root, path = connection.base_url, connection.vendor.models_path
    if connection.vendor.dialect == "azure":
        return f"{root.removesuffix('/openai/v1')}/openai/v1{path}"
    if path != "/models":  # below the address without its version
        root = root.removesuffix("/v1").removesuffix("/v2")
    return root + path


def _names(body: bytes) -> list[str]:
    try:
        read = _models.decode(body)
    except msgspec.DecodeError:
        return []
    named = [entry.id or entry.name or "" for entry in (read.data or read.models or ())]
    return [name for name in named if name]


async def _ask(asker: _Asker, found: Findings) -> None:
    if not found.model:
        found.error = "No model to ask: no deployment names one, and the provider lists none."
        found.remedy = f"Add a deployment of '{found.provider}', or name a model with --model."
        return
    try:
        whole = await asker.ask(found.model, _WORD, is_streaming=False)
        found.reachable = found.key = found.model_known = "yes"
        found.usage = _reported(whole)
        streamed = await asker.ask(found.model, _WORD, is_streaming=True)
        found.streams = "yes" if len(streamed) > 1 else "no"
        found.first_token_ms = asker.first_content_ms
        if found.usage == "yes":
            found.usage = _reported(streamed)
    except SantralError as error:
        _blame(error, found)
        return
    found.tools = await _calls_tools(asker, found.model)


def _reported(deltas: list[Delta]) -> Outcome:
    usage: Usage | None = deltas[-1].usage if deltas else None
    return "yes" if usage is not None and not usage.is_estimated else "no"


async def _calls_tools(asker: _Asker, model: str) -> Outcome:
    """Whether a tool is called; a model that only could is no failure of the provider."""
    try:
        deltas = await asker.ask(model, _TOOL, is_streaming=False)
    except SantralError:
        return "no"
    called = any(choice.tool_calls for delta in deltas for choice in delta.choices)
    return "yes" if called else "no"


def _blame(error: SantralError, found: Findings) -> None:
    """Note what failed, and what to do about it."""
    found.error = error.message
    place = f"providers.{found.provider}"
    if isinstance(error, ProviderUnreachable | ProviderTimeout):
        if found.reachable == "yes":
            found.remedy = "It is there, but broke off or took too long: look at its own log."
            return
        found.reachable = "no"
        found.remedy = f"Is the address in {place}.base_url right, and may this machine reach it?"
        return
    found.reachable = "yes"
    if isinstance(error, ProviderRefusedKey):
        found.key = "no"
        found.remedy = f"Give a key that the provider accepts in {place}.api_key."
    elif isinstance(error, ModelNotFound):
        found.key, found.model_known = "yes", "no"
        found.remedy = f"'{found.model}' is no model there: look at its list, or at its spelling."
    elif isinstance(error, ProviderBusy):
        found.key = "yes"
        wait = f" in {error.retry_after_s:.0f} s" if error.retry_after_s else " later"
        found.remedy = f"The provider's own rate limit is used up: test again{wait}."
    elif isinstance(error, ProviderError):
        found.remedy = f"The provider answers, but not as '{found.kind}' does: is that its kind?"


async def _each_key(
    name: str, config: ProviderConfig, model: str, how: tuple[TimeoutsConfig, Callable[[], float]]
) -> tuple[KeyFinding, ...]:
    """Ask with each key alone, where there are several."""
    references = [key for key in (config.api_key, *config.api_keys) if key is not None]
    if len(references) < 2:
        return ()
    alone = [config.model_copy(update={"api_key": key, "api_keys": []}) for key in references]
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_one_key(name, one, model, how)) for one in alone]
    return tuple(KeyFinding(number, task.result()) for number, task in enumerate(asked, 1))


async def _one_key(
    name: str, config: ProviderConfig, model: str, how: tuple[TimeoutsConfig, Callable[[], float]]
) -> Outcome:
    client = AiohttpClient(max_connections=1)
    try:
        asker = _Asker(build_provider(name, config, client), *how)
        await asker.ask(model, _WORD, is_streaming=False)
    except ProviderRefusedKey:
        return "no"
    except SantralError:
        return "unknown"
    finally:
        await client.close()
    return "yes"
