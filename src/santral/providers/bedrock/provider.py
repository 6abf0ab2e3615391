"""AWS Bedrock: one API, Converse, before the models of many makers.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from urllib.parse import quote

import msgspec
from msgspec import Struct

from santral.errors import ConfigError, ProviderGarbled
from santral.providers.bedrock.answer import ConverseReader
from santral.providers.bedrock.error import refusal
from santral.providers.bedrock.frames import FrameReader
from santral.providers.bedrock.request import count_body, request_of
from santral.providers.bedrock.sign import Signer, read_credentials
from santral.providers.connection import Connection
from santral.providers.estimate import estimate_usage
from santral.providers.exchange import Exchange
from santral.providers.provider import Operation, ProviderCall, TaskAnswer, TaskCall
from santral.wire.delta import Delta
from santral.wire.usage import Usage

_encode = msgspec.json.Encoder().encode


class _Counted(Struct, rename="camel"):
    input_tokens: int


_counted = msgspec.json.Decoder(_Counted)


class BedrockProvider:
    """Bedrock in one region, signed in with AWS credentials or a Bedrock API key."""

    operations: frozenset[Operation] = frozenset({"chat", "count_tokens"})

    def __init__(self, connection: Connection) -> None:
        """Raises ConfigError: no region, or nothing to sign in with."""
        self._connection = connection
        self._base, region = _place_of(connection)
        self._signer = _signer_of(connection, region)

    def __repr__(self) -> str:
        return f"BedrockProvider({self._base!r})"

    def address(self, model: str, verb: str) -> str:
        """Return where ``verb`` is asked of a model: ids and ARNs hold ``:`` and ``/``, encoded."""
        return f"{self._base}/model/{quote(model, safe='')}/{verb}"

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        """Yield the answer's deltas; see ``Provider``."""
        request = request_of(call)
        verb = "converse-stream" if call.is_streaming else "converse"
        url = self.address(call.model, verb)
        async with await self._connection.post(
            url,
            request.body,
            call.timeouts,
            refusal,
            model=call.model,
            is_streaming=call.is_streaming,
            more=self._more(url, request.body, call.traceparent),
        ) as exchange:
            reader = ConverseReader(
                call.model, answer_tool=request.answers_by_tool, secret=exchange.key.secret
            )
            if call.is_streaming:
                frames = FrameReader()
                while (data := await exchange.next(reader)) is not None:
                    for delta in _read(data, frames, exchange, reader):
                        yield delta
            else:
                for delta in reader.whole(await exchange.response.read()):
                    yield delta
            for delta in _end(reader, call):
                yield delta

    async def perform(self, call: TaskCall) -> TaskAnswer:
        """Count the tokens of a chat request; errors as in ``stream``."""
        url, body = self.address(call.model, "count-tokens"), count_body(call)
        async with await self._connection.post(
            url,
            body,
            call.timeouts,
            refusal,
            model=call.model,
            more=self._more(url, body, call.traceparent),
        ) as exchange:
            body = await exchange.response.read()
        try:
            counted = _counted.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ProviderGarbled(
                "The provider's count of tokens is not what it documents."
            ) from None
        return TaskAnswer(body=_encode({"input_tokens": counted.input_tokens}), usage=Usage())

    def _more(self, url: str, body: bytes, traceparent: str) -> dict[str, str]:
        more = {"traceparent": traceparent} if traceparent else {}
        if self._signer is not None:
            more |= self._signer.sign(url, body, {"content-type": "application/json"})
        return more


def _place_of(connection: Connection) -> tuple[str, str]:
    """Return the address and the region."""
    config = connection.config
    region = config.region or ""
    if _REGION.fullmatch(region) is None:
        raise ConfigError(
            f"providers.{connection.name}.region: Bedrock needs a region, for example eu-central-1."
        )
    if config.base_url:
        return connection.base_url, region
    # China is a partition of its own. Source: botocore's endpoints.
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://bedrock-runtime.{region}.{suffix}", region


_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+){1,3}-\d{1,2}")


def _signer_of(connection: Connection, region: str) -> Signer | None:
    credentials = read_credentials(connection.name, connection.config)
    if credentials is not None:
        return Signer(credentials, region, "bedrock", connection.wall_clock)
    if "authorization" not in connection.headers:
        raise ConfigError(
            f"providers.{connection.name}: Bedrock needs access_key_id and secret_access_key, or a "
            "Bedrock API key as api_key, each by reference (env:AWS_ACCESS_KEY_ID)."
        )
    return None


def _read(
    data: bytes, frames: FrameReader, exchange: Exchange, reader: ConverseReader
) -> list[Delta]:
    """Return the deltas of the next bytes."""
    deltas = [delta for frame in frames.feed(data) for delta in reader.feed(frame)]
    if deltas and reader.has_started:
        exchange.delta_came()
    return deltas


def _end(reader: ConverseReader, call: ProviderCall) -> list[Delta]:
    deltas = reader.end()
    if deltas[-1].usage is None:
        usage = estimate_usage(call.fields, reader.said_bytes)
        deltas.append(msgspec.structs.replace(deltas[-1], choices=(), usage=usage))
    return deltas
