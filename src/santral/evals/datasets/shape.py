"""What a row of a file or a body becomes: an example, or the reason why it is none."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias, cast

import msgspec

from santral.errors import BadRequest, nearest
from santral.evals.example import Example, digest_of

#: Bytes of one example as JSON. Chosen: a conversation of 250,000 tokens fits.
MAX_BYTES = 1_000_000
#: Examples of one data set. Chosen: above, a sample of them says the same.
MAX_EXAMPLES = 1_000_000

#: What happens with columns that are no field: they are a fault, become metadata, or are left out.
Rest: TypeAlias = Literal["refuse", "metadata", "drop"]

FIELDS: tuple[str, ...] = Example.__struct_fields__
_TEXTS = frozenset({"id", "expected", "cluster", "split"})
_LISTS_OF_TEXTS = frozenset({"references", "relevant", "contexts"})
_ID = re.compile(r"[^\s\x00-\x1f][^\x00-\x1f]{0,127}")
_SPLIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})

_encode = msgspec.json.Encoder().encode


def example_of(row: Mapping[str, Any], *, rest: Rest = "refuse") -> Example:
    """Return the example that a row says; one without an id is called by what it holds.

    A cell of a table is a text: lists and objects stand in it as JSON, and an empty one says nothing.

    Raises:
        BadRequest: it is no example; says which field, and what to do.
    """
    known, others = _parted(row)
    if others and rest == "refuse":
        raise _unknown(next(iter(others)))
    if others and rest == "metadata":
        known["metadata"] = {**others, **_object(known.get("metadata") or {})}
    return checked(_converted({name: _value(name, value) for name, value in known.items()}))


def checked(example: Example) -> Example:
    """Return an example that can be kept, with an id.

    Raises:
        BadRequest: it asks nothing, is too large, or one of its names cannot be used.
    """
    if not example.input and not example.variables:
        raise BadRequest("It asks nothing: give input, or variables of a prompt.", param="input")
    _check_messages(example.input)
    _check_numbers(example)
    named = example if example.id else msgspec.structs.replace(example, id=id_of(example))
    if not _ID.fullmatch(named.id):
        raise BadRequest(
            f"The id {named.id[:64]!r} cannot be used: 1 to 128 characters, no line breaks.",
            param="id",
        )
    if named.split and not _SPLIT.fullmatch(named.split):
        raise BadRequest(
            f"The split {named.split[:64]!r} cannot be used. Take letters, digits and . _ - "
            "(32 at most), such as train, dev, test.",
            param="split",
        )
    size = len(_encode(named))
    if size > MAX_BYTES:
        raise BadRequest(f"It has {size:,} bytes; {MAX_BYTES:,} are the most of one example.")
    return named


def id_of(example: Example) -> str:
    """Return the id of an example that came without one: the same content has the same id."""
    return f"ex_{digest_of(example)[:20]}"


def mapped(row: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    """Return a row with its columns called as fields: ``mapping`` is field to column.

    Raises:
        BadRequest: there is no such column; names the nearest.
    """
    taken = set(mapping.values())
    renamed: dict[str, Any] = {name: row[name] for name in row if name not in taken}
    for name, column in mapping.items():
        if column not in row:
            raise BadRequest(f"There is no column '{column}'.{nearest(column, row)}", param=name)
        _put(renamed, name, row[column])
    return renamed


def parse_mapping(given: Iterable[str]) -> dict[str, str]:
    """Return field to column from texts such as ``input=question`` and ``metadata.topic=category``.

    Raises:
        BadRequest: one that names no field.
    """
    mapping: dict[str, str] = {}
    for text in given:
        name, sign, column = text.partition("=")
        if not sign or not column:
            raise BadRequest(f"'{text}' is no mapping. Write FIELD=COLUMN, as input=question.")
        first, dot, _ = name.partition(".")
        if first not in FIELDS or (dot and first not in {"metadata", "variables"}):
            raise _unknown(name)
        mapping[name] = column
    return mapping


def _put(row: dict[str, Any], name: str, value: Any) -> None:
    first, dot, key = name.partition(".")
    if not dot:
        row[name] = value
        return
    inner = dict(_object(row.get(first) or {}))
    if value not in (None, ""):
        inner[key] = value
    row[first] = inner


def _parted(row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields of a row that say something, and what is no field."""
    said = {name: value for name, value in row.items() if value is not None and value != ""}
    known = {name: value for name, value in said.items() if name in FIELDS}
    return known, {name: value for name, value in said.items() if name not in FIELDS}


def _value(name: str, value: Any) -> Any:
    """Return what a cell says, in the type of its field."""
    if name in _TEXTS:
        return value if isinstance(value, str) else str(value)
    if not isinstance(value, str):
        return value
    if name == "input" and not value.lstrip().startswith('[{"'):
        return value
    if name in _LISTS_OF_TEXTS and not value.lstrip().startswith("["):
        return [value]
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        if name == "input":  # a question that only begins like messages
            return value
        raise BadRequest(f"{name} is no JSON: {error}.", param=name) from None


def _converted(fields: dict[str, Any]) -> Example:
    try:
        return msgspec.convert({"id": "", **fields}, Example)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{error}.") from None


def _object(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise BadRequest(f"metadata is no JSON: {error}.", param="metadata") from None
    if not isinstance(value, dict):
        raise BadRequest("Metadata and variables are objects: name to value.", param="metadata")
    return cast("dict[str, Any]", value)


def _check_messages(said: str | list[dict[str, Any]]) -> None:
    if isinstance(said, str):
        return
    for number, message in enumerate(said):
        if message.get("role") not in _ROLES:
            raise BadRequest(
                f"input[{number}] has no role. Each message has one of: {', '.join(sorted(_ROLES))}.",
                param="input",
            )


def _check_numbers(example: Example) -> None:
    for name, value in example.metadata.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise BadRequest(f"metadata.{name} is not a number; leave it out.", param="metadata")


def _unknown(name: str) -> BadRequest:
    return BadRequest(
        f"There is no field '{name}' in an example.{nearest(name, FIELDS)} Map a column to a field, "
        "take the rest as metadata, or leave it out.",
        param=name,
        code="unknown_field",
    )
