"""Whether a candidate passes a filter: for rules that apply to what was found, not to what is sought."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from santral.retrieval.document import Attribute
from santral.retrieval.filter import ATTRIBUTES, Condition, Filter
from santral.retrieval.index.entry import Candidate


def passes(candidate: Candidate, wanted: Filter) -> bool:
    """Whether every condition holds, with the meaning that indexes give them."""
    return all(_holds(candidate, condition) for condition in wanted)


def _holds(candidate: Candidate, condition: Condition) -> bool:
    values = [value for value in _values(candidate, condition.field) if value not in ("", None)]
    wanted = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    if condition.operator == "exists":
        return bool(values) is condition.value
    if condition.operator in ("eq", "in"):
        return any(_is_same(value, one) for value in values for one in wanted)
    if condition.operator in ("ne", "nin"):
        return not any(_is_same(value, one) for value in values for one in wanted)
    if condition.operator == "prefix":
        return any(isinstance(value, str) and value.startswith(str(wanted[0])) for value in values)
    return any(_is_in_order(value, condition.operator, wanted[0]) for value in values)


def _values(candidate: Candidate, field: str) -> Sequence[Attribute | None]:
    chunk, document = candidate.chunk, candidate.document
    if field == "document":
        return (document.id, document.source)
    if field == "section":
        return (chunk.section,)
    if field == "page":
        return (None if chunk.page is None else float(chunk.page),)
    if field.startswith(ATTRIBUTES):
        return (document.attributes.get(field.removeprefix(ATTRIBUTES)),)
    return (getattr(document, field),)


def _is_same(value: Attribute | None, wanted: Attribute) -> bool:
    """Whether two values are the same: a text is no number, and true is not 1."""
    return isinstance(value, bool) == isinstance(wanted, bool) and value == wanted


def _is_in_order(value: Attribute | None, operator: str, wanted: Attribute) -> bool:
    if not _is_number(value) or not _is_number(wanted):
        return False
    if operator in ("gt", "gte"):
        return value > wanted or (operator == "gte" and value == wanted)
    return value < wanted or (operator == "lte" and value == wanted)


def _is_number(value: Attribute | None) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
