"""Moderations at providers: OpenAI's own, and Mistral's, which has other categories and no verdict."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from santral.errors import ParameterNotSupported
from santral.providers.connection import Connection
from santral.providers.provider import TaskAnswer, TaskCall
from santral.providers.tasks.embed import read_usage
from santral.providers.tasks.http import (
    Address,
    Doer,
    ask,
    counted,
    drop_rest,
    read,
    settings_of,
)
from santral.wire.usage import Usage


def openai_moderator(connection: Connection, address: Address) -> Doer:
    """Moderate in OpenAI's shape: texts and images as they came. It reports and bills no tokens.

    Source: https://platform.openai.com/docs/api-reference/moderations
    """

    async def moderate(call: TaskCall) -> TaskAnswer:
        fields = {**settings_of(call, "stream"), "model": call.model}
        body = await ask(connection, address(call.model), fields, call)
        tokens = read_usage(body)
        return TaskAnswer(body=body, usage=Usage(input_uncached=tokens or 0))

    return moderate


class _Row(Struct, frozen=True):
    categories: dict[str, bool]
    category_scores: dict[str, float]


class _Answer(Struct, frozen=True):
    results: list[_Row]
    id: str | None = None
    model: str | None = None


_answer = msgspec.json.Decoder(_Answer)


def mistral_moderator(connection: Connection, address: Address) -> Doer:
    """Moderate at Mistral: its own categories, and ``flagged`` where one of them is true.

    Source: https://docs.mistral.ai/api/endpoint/classifiers
    """

    async def moderate(call: TaskCall) -> TaskAnswer:
        settings = settings_of(call, "model", "input")
        drop_rest(call, settings)
        texts = _texts(call)
        fields = {"model": call.model, "input": texts}
        body = await ask(connection, address(call.model), fields, call)
        answer = read(body, _answer)
        rows = [
            {
                "flagged": any(row.categories.values()),
                "categories": row.categories,
                "category_scores": row.category_scores,
            }
            for row in answer.results
        ]
        canonical = msgspec.json.encode({"id": answer.id, "model": answer.model, "results": rows})
        return TaskAnswer(body=canonical, usage=counted(read_usage(body), texts))

    return moderate


def _texts(call: TaskCall) -> list[str]:
    """Return the inputs as texts; parts are one input together.

    Raises:
        ParameterNotSupported: an image is among them.
    """
    given: Any = call.fields["input"]
    if isinstance(given, str):
        return [given]
    if isinstance(given[0], str):
        return given
    if any(part["type"] != "text" for part in given):
        raise ParameterNotSupported(
            f"'{call.model}' moderates texts and no images. Leave the images out.", param="input"
        )
    return ["\n".join(part["text"] for part in given)]
