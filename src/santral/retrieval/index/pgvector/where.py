"""What a search may see and is narrowed to, as SQL. Nothing of what callers write becomes SQL text."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import Struct

from santral.retrieval.access import Scope
from santral.retrieval.document import Attribute
from santral.retrieval.filter import ATTRIBUTES, TEXT_FIELDS, Condition, Filter
from santral.retrieval.index.pgvector.store import clean

#: Columns of the chunk; every other field is one of its document.
_OF_CHUNK = ("section", "page")
_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

Values: TypeAlias = list[object]


class Where(Struct, frozen=True):
    """A condition on a chunk ``c`` and its document ``d``, and the values of its ``$1``, ``$2``, ..."""

    sql: str
    values: tuple[object, ...] = ()


def visible(scope: Scope, wanted: Filter = ()) -> Where:
    """Return the condition of every search: the groups of the scope, then the filter.

    Statements take no other one, so groups cannot be left out. Tenant, collection and version are in
    the names of the tables.
    """
    values: Values = []
    parts: list[str] = []
    if scope.groups is not None:
        groups = _bound(values, tuple(clean(group) for group in sorted(scope.groups)))
        parts.append(f"(d.allowed_groups = '{{}}' OR d.allowed_groups && {groups}::text[])")
    parts += [_condition(condition, values) for condition in wanted]
    return Where(" AND ".join(parts) or "true", tuple(values))


def _condition(condition: Condition, values: Values) -> str:
    field = condition.field
    if field.startswith(ATTRIBUTES):
        return _of_attribute(condition, values)
    if field == "document":
        return _of_document(condition, values)
    return _of_column(_column(field), condition, values)


def _column(field: str) -> str:
    """Return the column of a field; an empty text counts as none."""
    column = f"{'c' if field in _OF_CHUNK else 'd'}.{field}"
    return f"nullif({column}, '')" if field in TEXT_FIELDS else column


def _of_document(condition: Condition, values: Values) -> str:
    """A document is meant by its id or by its source."""
    both = [_of_column(column, condition, values) for column in ("d.id", "nullif(d.source, '')")]
    return f"({(' AND ' if condition.operator in ('ne', 'nin') else ' OR ').join(both)})"


def _of_column(column: str, condition: Condition, values: Values) -> str:
    operator, value = condition.operator, condition.value
    if operator == "exists":
        return f"({column} IS {'NOT ' if value else ''}NULL)"
    if operator == "prefix":
        return f"coalesce(starts_with({column}, {_bound(values, clean(value))}::text), false)"
    kind = "float8" if _is_number(condition) else "text"
    if isinstance(value, tuple):
        listed = _bound(values, tuple(clean(one) for one in value))
        is_in = f"coalesce({column}::{kind} = ANY({listed}::{kind}[]), false)"
        return is_in if operator == "in" else f"NOT {is_in}"
    bound = f"{_bound(values, clean(value))}::{kind}"
    if operator in _SIGNS:
        return f"coalesce({column}::{kind} {_SIGNS[operator]} {bound}, false)"
    return f"{column}::{kind} IS {'NOT' if operator == 'eq' else ''} DISTINCT FROM {bound}"


def _of_attribute(condition: Condition, values: Values) -> str:
    """Attributes are texts, numbers or booleans; one of another kind is not equal and has no order."""
    name = _bound(values, clean(condition.field.removeprefix(ATTRIBUTES)))
    column = f"nullif(d.attributes -> {name}::text, '\"\"'::jsonb)"
    plain = f"(d.attributes ->> {name}::text)"
    operator, value = condition.operator, condition.value
    if operator == "exists":
        return f"({column} IS {'NOT ' if value else ''}NULL)"
    if isinstance(value, tuple):
        listed = _bound(values, tuple(_json(one) for one in value))
        is_in = f"coalesce({column} = ANY({listed}::text[]::jsonb[]), false)"
        return is_in if operator == "in" else f"NOT {is_in}"
    if operator == "prefix":
        begins = f"starts_with({plain}, {_bound(values, clean(value))}::text)"
        return f"(CASE jsonb_typeof({column}) WHEN 'string' THEN {begins} ELSE false END)"
    if operator in _SIGNS:
        ordered = f"{plain}::float8 {_SIGNS[operator]} {_bound(values, value)}::float8"
        return f"(CASE jsonb_typeof({column}) WHEN 'number' THEN {ordered} ELSE false END)"
    bound = f"{_bound(values, _json(value))}::text::jsonb"
    return f"{column} IS {'NOT' if operator == 'eq' else ''} DISTINCT FROM {bound}"


def _json(value: Attribute) -> str:
    return msgspec.json.encode(clean(value)).decode()


def _is_number(condition: Condition) -> bool:
    first = condition.value[0] if isinstance(condition.value, tuple) and condition.value else None
    value = condition.value if first is None else first
    return isinstance(value, int | float)


def _bound(values: Values, value: object) -> str:
    values.append(value)
    return f"${len(values)}"
