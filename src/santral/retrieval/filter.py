"""Filters: what a search is narrowed to, parsed once and understood by every index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, cast

from msgspec import Struct

from santral.errors import BadRequest, nearest
from santral.retrieval.document import Attribute

Operator: TypeAlias = Literal["eq", "ne", "in", "nin", "prefix", "gt", "gte", "lt", "lte", "exists"]

#: Fields of every document. ``source``, ``section`` and ``url`` match by their beginning where a plain
#: value is given; the others are equal or not.
TEXT_FIELDS = (
    "document", "kind", "language", "lifecycle", "owner", "section", "source", "title", "url",
)  # fmt: skip
#: Fields that hold a moment: compared as seconds since 1970, given in ISO 8601.
TIME_FIELDS = ("created_at", "modified_at")
#: Fields that hold a whole number.
NUMBER_FIELDS = ("page",)
FIELDS = (*TEXT_FIELDS, *TIME_FIELDS, *NUMBER_FIELDS)
#: In front of a document's own fields: ``attributes.team``.
ATTRIBUTES = "attributes."

_BY_PREFIX = frozenset(("section", "source", "url"))
_ORDERED: frozenset[str] = frozenset(("gt", "gte", "lt", "lte"))
_LISTED: frozenset[str] = frozenset(("in", "nin"))
_OPERATORS: tuple[Operator, ...] = (
    "eq", "ne", "in", "nin", "prefix", "gt", "gte", "lt", "lte", "exists",
)  # fmt: skip

#: Conditions of one search, and values of one list. Chosen: more is a mistake or an attack.
MAX_CONDITIONS = 32
MAX_VALUES = 1_000

Value: TypeAlias = Attribute | tuple[Attribute, ...]


class Condition(Struct, frozen=True):
    """One thing that must hold of a chunk's document (``section`` and ``page``: of the chunk).

    A document without the field, or with an empty text in it, meets ``ne``, ``nin`` and ``exists``
    false only. Values of different kinds are never equal (``true`` is not 1), and only numbers have an
    order. ``document`` compares with the id and with the source: one of them has to be equal.
    """

    field: str
    operator: Operator
    value: Value


#: All must hold. Empty: no filter.
Filter: TypeAlias = tuple[Condition, ...]


def parse_filter(given: Mapping[str, Any], place: str = "santral.retrieval.filters") -> Filter:
    """Return the conditions of a filter as callers write it.

    ``{"kind": "pdf"}``, ``{"language": ["tr", "en"]}``, ``{"modified_at": {"gte": "2026-01-01"}}``,
    ``{"attributes.team": "legal"}``. The document field takes an id or a source.

    Raises:
        BadRequest: an unknown field or operator, or a value of the wrong kind; names the place.
    """
    conditions: list[Condition] = []
    for field, wanted in given.items():
        at = f"{place}.{field}"
        _require_known(field, at)
        if isinstance(wanted, Mapping):
            for operator, value in cast("Mapping[str, Any]", wanted).items():
                conditions.append(_condition(field, operator, value, f"{at}.{operator}"))
        elif isinstance(wanted, list | tuple):
            conditions.append(_condition(field, "in", wanted, at))
        else:
            conditions.append(
                _condition(field, "prefix" if field in _BY_PREFIX else "eq", wanted, at)
            )
    if len(conditions) > MAX_CONDITIONS:
        raise BadRequest(
            f"A filter has at most {MAX_CONDITIONS} conditions.", code="bad_filter", param=place
        )
    return tuple(conditions)


def _require_known(field: str, at: str) -> None:
    if field in FIELDS or (field.startswith(ATTRIBUTES) and len(field) > len(ATTRIBUTES)):
        return
    raise BadRequest(
        f"Unknown filter '{field}'. Filters are {', '.join(FIELDS)} and attributes.NAME."
        f"{nearest(field, FIELDS)}",
        code="unknown_filter",
        param=at,
    )


def _condition(field: str, operator: str, value: Any, at: str) -> Condition:
    if operator not in _OPERATORS:
        raise BadRequest(
            f"Unknown operator '{operator}' at {at}. Operators are {', '.join(_OPERATORS)}."
            f"{nearest(operator, _OPERATORS)}",
            code="bad_filter",
            param=at,
        )
    known: Operator = operator
    if known == "exists":
        if not isinstance(value, bool):
            raise _wrong(at, "true or false")
        return Condition(field, known, value)
    if known in _LISTED:
        items = list(cast("Sequence[Any]", value)) if isinstance(value, list | tuple) else None
        if items is None or len(items) > MAX_VALUES:
            raise _wrong(at, f"a list of at most {MAX_VALUES} values")
        return Condition(field, known, tuple(_value(field, item, at) for item in items))
    checked = _value(field, value, at)
    if known == "prefix" and not isinstance(checked, str):
        raise _wrong(at, "a text")
    if known in _ORDERED and (isinstance(checked, bool | str) or field in TEXT_FIELDS):
        raise _wrong(at, "a field that has an order: a number, or created_at and modified_at")
    return Condition(field, known, checked)


def _value(field: str, value: Any, at: str) -> Attribute:
    if field in TIME_FIELDS:
        return _moment(value, at)
    if field in NUMBER_FIELDS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(at, "a number")
        return float(value)
    if field in TEXT_FIELDS and not isinstance(value, str):
        raise _wrong(at, "a text")
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return float(value)
    raise _wrong(at, "a text, a number, or true or false")


def _moment(value: Any, at: str) -> float:
    """Return seconds since 1970; a date without a zone is UTC."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _wrong(at, "a date or time in ISO 8601, like 2026-01-31") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _wrong(at: str, wanted: str) -> BadRequest:
    return BadRequest(f"The filter {at} needs {wanted}.", code="bad_filter", param=at)
