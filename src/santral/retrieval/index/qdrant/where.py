"""What a search may see and is narrowed to, as a filter of Qdrant."""

from __future__ import annotations

from typing import Any, TypeAlias

from santral.retrieval.access import Scope
from santral.retrieval.document import Attribute
from santral.retrieval.filter import ATTRIBUTES, Condition, Filter
from santral.retrieval.index.qdrant.connection import Json
from santral.retrieval.index.qdrant.points import EVERYBODY, attribute_key, of_group

Clause: TypeAlias = dict[str, Any]

#: What never holds.
_NEVER: Clause = {"has_id": []}


def visible(scope: Scope, revision: int, wanted: Filter = ()) -> Clause:
    """Return the filter of every search: what was published by then, the groups, then the conditions.

    Queries take no other one, so groups cannot be left out. Tenant, collection and version are in the
    name of Qdrant's collection.
    """
    return _all(
        {"key": "type", "match": {"value": "chunk"}},
        *alive(revision),
        *([] if scope.groups is None else [_for_groups(scope.groups)]),
        *(_condition(condition) for condition in wanted),
    )


def alive(revision: int) -> list[Clause]:
    """Return what holds of points that are part of a revision: brought by then, and not yet taken."""
    return [
        {"key": "born", "range": {"lte": revision}},
        _not({"key": "died", "range": {"lte": revision}}),
    ]


def among(where: Json, ids: list[str]) -> Clause:
    """Return a filter narrowed to some points."""
    return _all(dict(where), {"has_id": ids})


def of_documents(ids: list[str], *more: Clause) -> Clause:
    """Return the filter for all points of some documents."""
    return _all({"key": "of.document", "match": {"any": ids}} if ids else _NEVER, *more)


def every(*clauses: Clause) -> Clause:
    """Return a filter that needs all clauses."""
    return _all(*clauses)


def is_absent(key: str) -> Clause:
    """Return what holds where a payload has no such field."""
    return {"is_empty": {"key": key}}


def any_of(*clauses: Clause) -> Clause:
    """Return what holds where one of the clauses does."""
    return {"should": list(clauses)}


def _for_groups(groups: frozenset[str]) -> Clause:
    readers = [EVERYBODY, *(of_group(group) for group in sorted(groups))]
    return {"key": "readers", "match": {"any": readers}}


def _condition(condition: Condition) -> Clause:
    if condition.field != "document":
        field = condition.field
        is_own = field.startswith(ATTRIBUTES)
        key = attribute_key(field.removeprefix(ATTRIBUTES)) if is_own else f"of.{field}"
        return _of_key(key, condition)
    if condition.operator == "exists":
        return _all() if condition.value else _NEVER
    both = [_of_key(key, condition) for key in ("of.document", "of.source")]
    return _all(*both) if condition.operator in ("ne", "nin") else any_of(*both)


def _of_key(key: str, condition: Condition) -> Clause:
    operator, value = condition.operator, condition.value
    if operator == "exists":
        return _not(is_absent(key)) if value else is_absent(key)
    if operator in ("ne", "nin"):
        return _not(_equal(key, value))
    if operator in ("eq", "in"):
        return _equal(key, value)
    if operator == "prefix":
        return {"key": key, "match": {"prefix": value}} if value else _not(is_absent(key))
    return {"key": key, "range": {operator: value}}


def _equal(key: str, value: Attribute | tuple[Attribute, ...]) -> Clause:
    values = value if isinstance(value, tuple) else (value,)
    texts = [one for one in values if isinstance(one, str)]
    clauses = [_is(key, one) for one in values if not isinstance(one, str)]
    if texts:
        clauses.append({"key": key, "match": {"any": texts}})
    return any_of(*clauses) if clauses else _NEVER


def _is(key: str, value: Attribute) -> Clause:
    if isinstance(value, bool):
        return {"key": key, "match": {"value": value}}
    return {"key": key, "range": {"gte": value, "lte": value}}


def _all(*clauses: Clause) -> Clause:
    return {"must": list(clauses)}


def _not(clause: Clause) -> Clause:
    return {"must_not": [clause]}
