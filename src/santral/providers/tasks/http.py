"""One call of a task: a JSON body out, a JSON body back, in whatever form the provider has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec import Raw, Struct

from santral.errors import ParameterNotSupported, ProviderGarbled
from santral.providers.connection import Connection
from santral.providers.keys import ProviderKey
from santral.providers.openai.error import error_inside, refusal
from santral.providers.provider import TaskAnswer, TaskCall
from santral.wire.usage import Usage, estimate_tokens

#: Answers one kind of task at one provider.
Doer: TypeAlias = Callable[[TaskCall], Awaitable[TaskAnswer]]
#: Where a model is asked.
Address: TypeAlias = Callable[[str], str]

#: Parts of one batch under way at once. Chosen: a large batch is quick and no burst.
AT_ONCE = 4

T = TypeVar("T")
R = TypeVar("R")


class _Error(Struct):
    error: Any = None


_error = msgspec.json.Decoder(_Error)


async def ask(
    connection: Connection,
    url: str,
    fields: Mapping[str, Any],
    call: TaskCall,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Send ``fields`` and return the answer's body.

    Raises:
        ProviderError: no answer, a refusal, or an error inside a 200.
    """
    more = {**(headers or {}), **({"traceparent": call.traceparent} if call.traceparent else {})}
    async with await connection.post(
        url, msgspec.json.encode(fields), call.timeouts, refusal, model=call.model, more=more
    ) as exchange:
        body = await exchange.response.read()
        if body[:64].lstrip().startswith(b'{"error"'):
            _raise_inside(body, exchange.key)
    return body


def _raise_inside(body: bytes, key: ProviderKey) -> None:
    try:
        error = _error.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if error is not None:
        raise error_inside(error, secret=key.secret)


def read(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return an answer in its provider's own form.

    Raises:
        ProviderGarbled: it has another.
    """
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderGarbled(f"The provider's answer is not what it documents: {error}.") from None


def settings_of(call: TaskCall, *names: str) -> dict[str, Any]:
    """Return the request's fields without nulls (some engines break on them) and without ``names``."""
    return {
        name: value
        for name, value in call.fields.items()
        if name not in names
        and value is not None
        and not (isinstance(value, Raw) and bytes(value).strip() == b"null")
    }


def drop_rest(call: TaskCall, settings: Mapping[str, Any]) -> None:
    """Note the settings that a provider has no word for; ``user`` and ``stream`` change no answer."""
    for name in settings:
        if name not in ("user", "stream"):
            call.losses.drop(name)


def refuse_tokens(call: TaskCall, inputs: Sequence[Any]) -> None:
    """Refuse token ids on behalf of a provider that takes texts alone.

    Raises:
        ParameterNotSupported: there are some; another deployment may take them.
    """
    if inputs and not isinstance(inputs[0], str):
        raise ParameterNotSupported(
            f"'{call.model}' takes texts and no token ids. Send texts.", param="input"
        )


def counted(tokens: int | None, texts: Sequence[Any]) -> Usage:
    """Return the usage the provider reported, or an estimate that is marked as one."""
    if tokens is not None:
        return Usage(input_uncached=tokens)
    estimate = sum(estimate_tokens(t) if isinstance(t, str) else len(t) for t in texts)
    return Usage(input_uncached=estimate, is_estimated=True)


def batches(inputs: Sequence[T], most: int, most_bytes: int) -> list[Sequence[T]]:
    """Split inputs in their order into parts that a provider takes at once.

    A part holds at most ``most`` inputs and, unless one alone is larger, ``most_bytes`` of text.
    """
    parts: list[Sequence[T]] = []
    begin = size = 0
    for place, entry in enumerate(inputs):
        length = len(entry.encode()) if isinstance(entry, str) else 4 * _length(entry)
        if place > begin and (place - begin >= most or size + length > most_bytes):
            parts.append(inputs[begin:place])
            begin, size = place, 0
        size += length
    return [*parts, inputs[begin:]]


def _length(entry: Any) -> int:
    return len(entry)


async def in_parts(
    call: TaskCall,
    parts: Sequence[T],
    do: Callable[[T], Awaitable[tuple[R, Usage]]],
    *,
    at_once: int = AT_ONCE,
) -> tuple[list[R], Usage]:
    """Return what ``do`` makes of every part, in their order, and what all of them used.

    ``at_once`` parts are under way. A part that an earlier attempt had answered is not asked for
    again. The first failure ends the others and is raised as it is.
    """
    gate = asyncio.Semaphore(at_once)  # bounds the calls under way

    async def one(number: int, part: T) -> None:
        async with gate:
            made, usage = await do(part)
        call.spend(usage)
        call.parts[number] = made, usage

    try:
        async with asyncio.TaskGroup() as group:
            for number, part in enumerate(parts):
                if number not in call.parts:
                    group.create_task(one(number, part))
    except BaseExceptionGroup as errors:
        raise _first(errors) from None
    answered = [call.parts[number] for number in range(len(parts))]
    total = answered[0][1]
    for _, usage in answered[1:]:
        total = total.plus(usage)
    return [made for made, _ in answered], total


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
