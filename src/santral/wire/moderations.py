"""Moderations as OpenAI speaks them: texts, lists of texts, and parts with images.

Source: https://platform.openai.com/docs/api-reference/moderations
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from santral.errors import BadRequest, ProviderGarbled
from santral.wire.task import TaskRequest, TaskView, TextPath, read_task


class ModerationView(TaskView, frozen=True, kw_only=True):
    """The fields of a moderation request that Santral looks at."""

    input: Any


_view = msgspec.json.Decoder(ModerationView)


def parse_moderation(body: bytes) -> TaskRequest:
    """Read a moderation request; its texts are the inputs and the text parts.

    Raises:
        BadRequest: malformed; the message names the place.
    """
    view, fields = read_task(body, _view, ("input",))
    given = fields["input"]
    if isinstance(given, str):
        return TaskRequest("moderate", view, fields, [("input",)])
    if not isinstance(given, list) or not given:
        raise _bad("'input' must be a text, a list of texts, or a list of parts.", "input")
    entries = cast("list[Any]", given)
    paths = [_path(entry, position) for position, entry in enumerate(entries)]
    if len({isinstance(entry, str) for entry in entries}) > 1:
        raise _bad("'input' must hold texts or parts, not both.", "input")
    return TaskRequest("moderate", view, fields, [path for path in paths if path is not None])


def _path(entry: Any, position: int) -> TextPath | None:
    if isinstance(entry, str):
        return ("input", position)
    if not isinstance(entry, dict):
        raise _bad("An input is a text, or a part with a 'type'.", f"input[{position}]")
    part = cast("dict[str, Any]", entry)
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        return ("input", position, "text")
    if part.get("type") == "image_url" and isinstance(part.get("image_url"), dict):
        return None
    raise _bad(
        "A part has the type 'text' with a 'text', or 'image_url' with an 'image_url'.",
        f"input[{position}]",
    )


def _bad(message: str, param: str) -> BadRequest:
    return BadRequest(message, code="invalid_request", param=param)


def count_of(given: Any) -> int:
    """Return how many results an input has: one a text, and one for all parts together."""
    if isinstance(given, str):
        return 1
    entries = cast("list[Any]", given)
    return 1 if isinstance(entries[0], dict) else len(entries)


class _Answer(Struct, frozen=True):
    results: list[dict[str, Raw]]
    id: str | None = None
    model: str | None = None


_answer = msgspec.json.Decoder(_Answer)


def render_moderation(body: bytes, *, count: int, request_id: str, model: str) -> bytes:
    """Return the provider's answer with an id and a model, its results as they came.

    Raises:
        ProviderGarbled: it is something else, or has another number of results than ``count``.
    """
    try:
        answer = _answer.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderGarbled(f"The provider's answer is no moderation: {error}.") from None
    if len(answer.results) != count or any("flagged" not in row for row in answer.results):
        raise ProviderGarbled(
            f"The provider gave {len(answer.results)} results for {count} inputs."
        )
    return msgspec.json.encode(
        {
            "id": answer.id or f"modr-{request_id}",
            "model": answer.model or model,
            "results": answer.results,
        }
    )
