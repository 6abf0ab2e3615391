"""A request that is no conversation, in the one form in which it goes through the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Raw, Struct

from santral.errors import BadRequest, nearest
from santral.wire.chat import Extras, invalid

#: What is asked for. Source of the words: providers/provider.py has the same ones.
TaskName: TypeAlias = Literal["embed", "rerank", "moderate"]

#: Where a text stands: the names and positions that lead to it from the top of the request.
TextPath: TypeAlias = tuple[str | int, ...]

T = TypeVar("T")


class TaskExtras(Struct, frozen=True, forbid_unknown_fields=True):
    """The ``santral`` field of a task: what of it means something without a conversation."""

    session: str | None = None
    user: str | None = None
    tags: dict[str, str] = {}
    cache: bool | None = None


class TaskView(Struct, frozen=True):
    """The fields that every task has."""

    model: str
    user: str | None = None
    santral: TaskExtras | None = None
    stream: bool | None = None  # means nothing: an answer to a task is one body


class TaskRequest:
    """One task: every field, and where in them the caller's texts stand.

    ``fields`` holds raw slices except where a text stands: those fields are decoded, so that a
    guardrail can change them. ``santral`` is not among them.
    """

    __slots__ = ("extras", "fields", "name", "paths", "shown", "view")

    def __init__(
        self,
        name: TaskName,
        view: TaskView,
        fields: dict[str, Any],
        paths: list[TextPath],
    ) -> None:
        self.name: TaskName = name
        self.view = view
        self.fields = fields
        self.paths = paths
        #: The fields as they may be shown to the caller again: what goes out has checks of its own.
        self.shown: dict[str, Any] = fields
        given = view.santral or TaskExtras()
        self.extras = Extras(
            session=given.session, user=given.user, tags=given.tags, cache=given.cache
        )

    @property
    def texts(self) -> list[str]:
        """Every text of the caller, in the order of ``paths``."""
        return [_at(self.fields, path) for path in self.paths]

    @property
    def messages(self) -> list[dict[str, str]]:
        """The texts as a trace keeps them: who said what."""
        return [{"role": str(path[0]), "content": _at(self.fields, path)} for path in self.paths]

    def put_back(self, texts: Sequence[str]) -> None:
        """Write the texts, changed or not, where they stood."""
        _put(self.fields, self.paths, texts)

    def show(self, texts: Sequence[str]) -> None:
        """Let the caller see these texts where its own stood; the provider gets them as they are."""
        named = {str(path[0]) for path in self.paths}
        self.shown = {name: deepcopy(self.fields[name]) for name in named}
        _put(self.shown, self.paths, texts)


def _put(fields: dict[str, Any], paths: Sequence[TextPath], texts: Sequence[str]) -> None:
    for path, text in zip(paths, texts, strict=True):
        *steps, last = path
        place: Any = fields
        for step in steps:
            place = place[step]
        place[last] = text


def _at(value: Any, path: TextPath) -> Any:
    for step in path:
        value = value[step]
    return value


_fields_decoder = msgspec.json.Decoder(dict[str, Raw])


def read_task(
    body: bytes, view: msgspec.json.Decoder[T], decoded: Sequence[str]
) -> tuple[T, dict[str, Any]]:
    """Read a task's body into its typed view and its fields, those of ``decoded`` as values.

    Raises:
        BadRequest: not JSON, a wrong type, a missing field or an unknown ``santral`` extra.
    """
    try:
        seen = view.decode(body)
        fields: dict[str, Any] = {**_fields_decoder.decode(body)}
        for name in decoded:
            if name in fields:
                fields[name] = msgspec.json.decode(fields[name])
        if not body.isascii():
            str(body, "utf-8")  # fields we only pass through are skipped unread by the decoder
    except msgspec.ValidationError as error:
        raise _refused(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}", code="invalid_json") from None
    fields.pop("santral", None)
    return seen, fields


def _refused(error: msgspec.ValidationError) -> BadRequest:
    refusal = invalid(str(error))
    if refusal.detail_code != "unknown_extra":
        return refusal
    unknown = str(refusal.param).rpartition(".")[2]
    known = TaskExtras.__struct_fields__
    hint = nearest(unknown, known) or f" A task takes {', '.join(known)}."
    return BadRequest(
        f"Unknown field '{unknown}'.{hint}", code="unknown_extra", param=refusal.param
    )


def plain(value: Any) -> Any:
    """Return a field's value, decoded where it is still a raw slice; None where it is absent."""
    return msgspec.json.decode(value) if isinstance(value, Raw) else value
