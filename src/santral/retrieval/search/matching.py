"""Whether a candidate passes a filter: for rules that apply to what was found, not to what is sought."""

from __future__ import annotations

from typing import Any

from santral.retrieval.document import Attribute
from santral.retrieval.filter import ATTRIBUTES, Condition, Filter
from santral.retrieval.index.entry import Candidate


def passes(candidate: Candidate, wanted: Filter) -> bool:
    """Whether every condition holds, with the meaning that indexes give them."""
    return all(_holds(candidate, condition) for condition in wanted)


def _holds(candidate: Candidate, condition: Condition) -> bool:
    if condition.field == "document":
        both = (candidate.document.id, candidate.document.source)
        if condition.operator in ("ne", "nin"):
            return all(_compare(value, condition) for value in both)
        return any(_compare(value, condition) for value in both)
    return _compare(_value(candidate, condition.field), condition)


def _value(candidate: Candidate, field: str) -> Attribute | None:
    if field.startswith(ATTRIBUTES):
        return candidate.document.attributes.get(field.removeprefix(ATTRIBUTES))
    if field in ("section", "page"):
        return getattr(candidate.chunk, field)
    return getattr(candidate.document, field)


def _compare(value: Any, condition: Condition) -> bool:
    wanted: Any = condition.value
    operator = condition.operator
    if operator == "exists":
        return (value is not None) is wanted
    if value is None:
        return operator in ("ne", "nin")
    if operator in ("in", "nin"):
        return any(_equal(value, one) for one in wanted) is (operator == "in")
    if operator in ("eq", "ne"):
        return _equal(value, wanted) is (operator == "eq")
    if operator == "prefix":
        return isinstance(value, str) and value.startswith(wanted)
    return _ordered(value, operator, wanted)


def _equal(value: Any, wanted: Any) -> bool:
    """Whether two values are the same: a text is no number, and true is not 1."""
    is_same_kind = isinstance(value, str) == isinstance(wanted, str)
    return is_same_kind and isinstance(value, bool) == isinstance(wanted, bool) and value == wanted


def _ordered(value: Any, operator: str, wanted: Any) -> bool:
    if isinstance(value, str) != isinstance(wanted, str) or isinstance(value, bool):
        return False
    if operator == "gt":
        return value > wanted
    if operator == "gte":
        return value >= wanted
    return value < wanted if operator == "lt" else value <= wanted
