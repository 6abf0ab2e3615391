"""Google's Gemini, at AI Studio and at Vertex AI: one dialect, two addresses, two ways to sign in.

Sources: https://ai.google.dev/api/generate-content,
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from urllib.parse import quote

import msgspec

from santral.errors import ConfigError, ProviderError, ProviderGarbled
from santral.providers.connection import Connection
from santral.providers.conversation.conversation import read_conversation
from santral.providers.estimate import estimate_usage
from santral.providers.exchange import Exchange
from santral.providers.gemini.answer import GeminiReader
from santral.providers.gemini.auth import GoogleToken, read_service_account
from santral.providers.gemini.error import refusal
from santral.providers.gemini.request import conversation_fields, request_body
from santral.providers.provider import Operation, ProviderCall, TaskAnswer, TaskCall
from santral.wire.delta import Delta
from santral.wire.gemini import CountTokensAnswer
from santral.wire.sse import SseDecoder
from santral.wire.usage import Usage

_encode = msgspec.json.Encoder().encode
_counted = msgspec.json.Decoder(CountTokensAnswer)


class GeminiProvider:
    """Gemini at AI Studio: the key goes in a header, never in the address."""

    operations: frozenset[Operation] = frozenset({"chat", "count_tokens"})

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.base_url!r})"

    def address(self, model: str, verb: str) -> str:
        """Return where ``verb`` is asked of a model."""
        path = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
        return f"{self._connection.base_url}/{quote(path)}:{verb}"

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        """Yield the answer's deltas; see ``Provider``."""
        verb = "streamGenerateContent?alt=sse" if call.is_streaming else "generateContent"
        async with await self._connection.post(
            self.address(call.model, verb),
            request_body(call),
            call.timeouts,
            self._refusal,
            model=call.model,
            is_streaming=call.is_streaming,
            more=await self._more(call.traceparent),
        ) as exchange:
            reader = GeminiReader(secret=exchange.key.secret)
            if call.is_streaming:
                decoder = SseDecoder()
                # No event says that it is the last.
                while (data := await exchange.next(reader)) is not None:
                    for delta in _read(data, decoder, exchange, reader):
                        yield delta
            else:
                for delta in reader.feed(await exchange.response.read()):
                    yield delta
            for delta in _end(reader, call):
                yield delta
        await self._after()

    async def perform(self, call: TaskCall) -> TaskAnswer:
        """Count the tokens of a chat request; errors as in ``stream``."""
        conversation = read_conversation(call.fields)
        fields = conversation_fields(call.model, conversation, call.losses)
        async with await self._connection.post(
            self.address(call.model, "countTokens"),
            self._counting(call.model, fields),
            call.timeouts,
            self._refusal,
            model=call.model,
            more=await self._more(call.traceparent),
        ) as exchange:
            count = _read_count(await exchange.response.read())
        return TaskAnswer(body=_encode({"input_tokens": count}), usage=Usage())

    def _counting(self, model: str, fields: dict[str, object]) -> bytes:
        """AI Studio counts tools and instructions only inside a whole request, which names its model."""
        path = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
        return _encode({"generateContentRequest": {"model": path, **fields}})

    async def _more(self, traceparent: str) -> dict[str, str]:
        return {"traceparent": traceparent} if traceparent else {}

    async def _after(self) -> None:
        """What may be done once an answer is out."""

    def _refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now: float, secret: str
    ) -> ProviderError:
        return refusal(status, headers, body, now=now, secret=secret)


class VertexProvider(GeminiProvider):
    """Gemini at Vertex AI: signs in with a service account, or a token that something else renews."""

    def __init__(self, connection: Connection) -> None:
        """Raises ConfigError: no project, region or credentials, or none that can be used."""
        super().__init__(connection)
        self._token = _token_of(connection)
        self._models = _models_of(connection)

    def __repr__(self) -> str:
        return f"VertexProvider({self._models!r})"

    def address(self, model: str, verb: str) -> str:
        """Return where ``verb`` is asked of a model of Google, or of an endpoint given in full."""
        root = self._models.partition("/projects/")[0]
        path = f"{root}/{quote(model)}" if model.startswith("projects/") else ""
        return f"{path or f'{self._models}/{quote(model)}'}:{verb}"

    def _counting(self, model: str, fields: dict[str, object]) -> bytes:
        return _encode({name: value for name, value in fields.items() if name != "toolConfig"})

    async def _more(self, traceparent: str) -> dict[str, str]:
        more = await super()._more(traceparent)
        if self._token is not None:
            more["authorization"] = f"Bearer {await self._token.get()}"
        return more

    async def signature(self) -> dict[str, str]:
        """Return the headers that sign a call; none where the connection's own token does."""
        return await self._more("")

    async def _after(self) -> None:
        if self._token is not None:
            await self._token.renew()

    def _refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now: float, secret: str
    ) -> ProviderError:
        if self._token is not None:
            secret = self._token.token
            if status == 401:
                self._token.drop()
        return refusal(status, headers, body, now=now, secret=secret)


def _token_of(connection: Connection) -> GoogleToken | None:
    config, place = connection.config, f"providers.{connection.name}.credentials"
    if config.credentials is None:
        if config.bearer_token is None and "authorization" not in connection.headers:
            raise ConfigError(
                f"{place}: Vertex AI needs a service account; give its JSON key by reference, for "
                "example file:/run/secrets/vertex.json."
            )
        return None
    account = read_service_account(place, config.credentials.reveal())
    return GoogleToken(account, connection.client, connection.wall_clock, place)


def _models_of(connection: Connection) -> str:
    """Return where the models of Google are, in the project and region of the configuration."""
    config, name = connection.config, connection.name
    for field, value in (("project", config.project), ("region", config.region)):
        if value is None or _NAME.fullmatch(value) is None:
            raise ConfigError(
                f"providers.{name}.{field}: Vertex AI needs the {field} of the models, for example "
                f"{'my-project' if field == 'project' else 'europe-west4 or global'}."
            )
    base = config.base_url or _host_of(config.region or "")
    place = f"projects/{config.project}/locations/{config.region}/publishers/google/models"
    return f"{base.rstrip('/')}/v1/{place}"


def _host_of(region: str) -> str:
    """Source: google-genai 3.4, _api_client.py: global and multi-regions have hosts of their own."""
    if region == "global":
        return "https://aiplatform.googleapis.com"
    if region in ("us", "eu"):
        return f"https://aiplatform.{region}.rep.googleapis.com"
    return f"https://{region}-aiplatform.googleapis.com"


_NAME = re.compile(r"[a-z0-9][a-z0-9.:-]{0,62}")


def _read(
    data: bytes, decoder: SseDecoder, exchange: Exchange, reader: GeminiReader
) -> list[Delta]:
    """Return the deltas of the next bytes."""
    deltas = [delta for event in decoder.feed(data) for delta in reader.feed(event.data)]
    if deltas and reader.has_started:
        exchange.delta_came()
    return deltas


def _end(reader: GeminiReader, call: ProviderCall) -> list[Delta]:
    deltas = reader.end()
    if deltas[-1].usage is None:
        usage = estimate_usage(call.fields, reader.said_bytes)
        deltas.append(msgspec.structs.replace(deltas[-1], choices=(), usage=usage))
    return deltas


def _read_count(body: bytes) -> int:
    try:
        return _counted.decode(body).total_tokens
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProviderGarbled("The provider's count of tokens is not what it documents.") from None
