"""Provider ``local``: the embedded answerer behind the interface of every other provider."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.errors import ProviderRefusedRequest, nearest
from santral.providers.local.extractive import Answerer
from santral.providers.local.passage import Analysis
from santral.providers.local.structured import PLAIN_SCHEMA, structured
from santral.providers.provider import ChatOnly, ProviderCall
from santral.wire.delta import ChoiceDelta, Delta
from santral.wire.render import completion
from santral.wire.usage import Usage

MODELS = ("extractive",)

#: Its tokens: up to six letters or digits, or one other sign, with the white space before them.
#: Chosen: 4.2 characters a token on English and Turkish prose, as common tokenizers have.
_TOKEN = re.compile(r"\s*(?:[^\W_]{1,6}|[^\w\s]|_)|\s+")


class LocalProvider(ChatOnly):
    """Answers from the sources of the call alone; needs no key, no download and no network."""

    def __init__(
        self, analysis: Analysis, *, clock: Callable[[], float], new_id: Callable[[], str]
    ) -> None:
        self._answerer = Answerer(analysis)
        self._clock = clock
        self._new_id = new_id

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        """Yield the answer, token by token in a stream.

        Deterministic, so ``n`` choices are ``n`` times the same; ``temperature``, ``seed``, ``stop``
        and their kin change nothing.

        Raises:
            ProviderRefusedRequest: an unknown model, a schema that quotes cannot fill, or a forced
                tool call.
        """
        for name in call.native:
            call.losses.drop(name)
        wish = _read(call)
        # Reading 8 kB of new passages takes some milliseconds: not on the loop.
        tokens, read = await asyncio.to_thread(self._compose, call, wish)
        is_cut = wish.max_tokens is not None and len(tokens) > wish.max_tokens
        tokens = tokens[: wish.max_tokens]
        answer = _Answer(tokens, "length" if is_cut else "stop", read, wish.choices)
        head = Delta(id=self._new_id(), model=call.model, created=int(self._clock()))
        if not call.is_streaming:
            yield answer.whole(head)
            return
        for delta in answer.deltas(head):
            yield delta
            await asyncio.sleep(0)  # other requests have their turn between two tokens

    def _compose(self, call: ProviderCall, wish: _Wish) -> tuple[list[str], int]:
        """Return the tokens of the answer and the number of tokens read."""
        extract = self._answerer.answer(call.question, call.sources)
        text = extract.text if wish.schema is None else structured(extract, wish.schema)
        read = len(tokenize(call.question)) + sum(len(tokenize(s.text)) for s in call.sources)
        return tokenize(text), read


def tokenize(text: str) -> list[str]:
    """Return the tokens of the embedded answerer; joined they are the text."""
    return _TOKEN.findall(text)


class _Wish(Struct, frozen=True):
    """What a call asks of the form of its answer."""

    schema: dict[str, Any] | None
    max_tokens: int | None
    choices: int


class _Answer(Struct, frozen=True):
    tokens: list[str]
    finish_reason: str
    read: int
    choices: int

    @property
    def usage(self) -> Usage:
        """Counted with its own tokenizer, so exact: nothing is estimated."""
        return Usage(input_uncached=self.read, output_text=len(self.tokens) * self.choices)

    def whole(self, head: Delta) -> Delta:
        text = "".join(self.tokens)
        choices = tuple(
            ChoiceDelta(index=n, text=text, finish_reason=self.finish_reason)
            for n in range(self.choices)
        )
        delta = msgspec.structs.replace(head, choices=choices, usage=self.usage, is_whole=True)
        return msgspec.structs.replace(delta, raw=completion(delta))

    def deltas(self, head: Delta) -> list[Delta]:
        pieces = [
            ChoiceDelta(index=n, text=token) for n in range(self.choices) for token in self.tokens
        ]
        ends = [ChoiceDelta(index=n, finish_reason=self.finish_reason) for n in range(self.choices)]
        deltas = [msgspec.structs.replace(head, choices=(choice,)) for choice in [*pieces, *ends]]
        return [*deltas, msgspec.structs.replace(head, usage=self.usage)]


def _read(call: ProviderCall) -> _Wish:
    if call.model not in MODELS:
        raise ProviderRefusedRequest(
            f"The provider 'local' has no model '{call.model}'; it has {', '.join(MODELS)}."
            f"{nearest(call.model, MODELS)}",
            param="model",
        )
    if _is_forced(_field(call.fields, "tool_choice")):
        raise ProviderRefusedRequest(
            "The embedded answerer calls no tools, and 'tool_choice' asks for one. "
            "Put a model before it on this route.",
            param="tool_choice",
        )
    asked = _field(call.fields, "max_completion_tokens") or _field(call.fields, "max_tokens")
    bounds = [n for n in (asked, call.max_output_tokens) if isinstance(n, int) and n > 0]
    count = _field(call.fields, "n")
    return _Wish(
        _schema(_field(call.fields, "response_format")),
        min(bounds, default=None),
        count if isinstance(count, int) and 1 <= count <= 128 else 1,  # 128: OpenAI's maximum
    )


def _is_forced(choice: Any) -> bool:
    return choice == "required" or isinstance(choice, dict)


def _schema(wanted: Any) -> dict[str, Any] | None:
    kind = wanted.get("type") if isinstance(wanted, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if kind == "json_object":
        return PLAIN_SCHEMA
    if kind != "json_schema":
        return None
    try:
        return msgspec.convert(wanted, _JsonSchemaFormat).json_schema.schema
    except msgspec.ValidationError as error:
        raise ProviderRefusedRequest(
            f"'response_format' holds no JSON Schema: {error}.", param="response_format"
        ) from None


class _NamedSchema(Struct, frozen=True):
    schema: dict[str, Any]


class _JsonSchemaFormat(Struct, frozen=True):
    json_schema: _NamedSchema


def _field(fields: Mapping[str, Any], name: str) -> Any:
    """Return a field of the request, decoded where it is still a raw slice."""
    value = fields.get(name)
    try:
        return msgspec.json.decode(value) if isinstance(value, Raw) else value
    except RecursionError:
        raise ProviderRefusedRequest(f"'{name}' is nested too deep.", param=name) from None
