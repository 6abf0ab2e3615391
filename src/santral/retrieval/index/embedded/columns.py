"""Columns: what filters look at, each distinct value once and a number per document or chunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.document import Attribute
from santral.retrieval.filter import ATTRIBUTES, TIME_FIELDS, Condition, Filter
from santral.retrieval.index.entry import IndexedDocument

Mask: TypeAlias = NDArray[np.bool_]

#: Columns of texts, made from the fields of a document of the same name.
_TEXTS = ("id", "source", "title", "kind", "language", "owner", "url", "lifecycle")


class Coded(Struct, frozen=True):
    """A column of texts and attributes; code 0 stands for nothing.

    codes: uint32 [rows]; values: msgpack of the distinct values, the first for code 1.
    """

    codes: NDArray[np.uint32]
    values: NDArray[np.uint8]

    def where(self, condition: Condition) -> Mask:
        """Return the rows of which a condition holds."""
        values: list[Attribute] = msgspec.msgpack.decode(self.values.data)
        passes = _predicate(condition)
        return np.array([passes(None), *map(passes, values)], bool)[self.codes]


class Numbers(Struct, frozen=True):
    """A column of numbers; float64 [rows], NaN stands for nothing."""

    values: NDArray[np.float64]

    def where(self, condition: Condition) -> Mask:
        """Return the rows of which a condition holds."""
        values, operator, wanted = self.values, condition.operator, condition.value
        if operator == "exists":
            return np.isnan(values) != bool(wanted)
        listed = np.array(_listed(wanted), np.float64)
        if operator in ("eq", "in"):
            return np.isin(values, listed)
        if operator in ("ne", "nin"):
            return ~np.isin(values, listed)
        if operator not in _ORDERS:
            return np.zeros(len(values), bool)
        return _ORDERS[operator](values, listed[0])


Column: TypeAlias = Coded | Numbers


def coded(values: Sequence[Attribute | None]) -> Coded:
    """Return a column; empty texts are nothing."""
    known: dict[tuple[type, Attribute], int] = {}
    codes = [
        0
        if value is None or value == ""
        else known.setdefault((type(value), value), len(known) + 1)
        for value in values
    ]
    distinct = msgspec.msgpack.encode([value for _, value in known])
    return Coded(np.array(codes, np.uint32), np.frombuffer(distinct, np.uint8))


def document_columns(documents: Sequence[IndexedDocument]) -> dict[str, Column]:
    """Return the columns of some documents by name; ``groups`` holds lists of those who may see."""
    columns: dict[str, Column] = {
        field: coded([getattr(one, field) for one in documents]) for field in _TEXTS
    }
    for field in TIME_FIELDS:
        moments = [getattr(one, field) for one in documents]
        columns[field] = Numbers(np.array([np.nan if at is None else at for at in moments], float))
    names = sorted({name for one in documents for name in one.attributes})
    for name in names:
        columns[ATTRIBUTES + name] = coded([_plain(one.attributes.get(name)) for one in documents])
    columns["groups"] = _groups([one.allowed_groups for one in documents])
    return columns


def may_be_seen(groups: Coded, held: frozenset[str]) -> Mask:
    """Return the documents that somebody with these groups may see."""
    lists: list[list[str]] = msgspec.msgpack.decode(groups.values.data)
    return np.array([True, *(not held.isdisjoint(allowed) for allowed in lists)])[groups.codes]


def passing(
    conditions: Filter,
    of_documents: Callable[[str], Column | None],
    of_chunks: Mapping[str, Column],
    document_of: NDArray[np.int32],
    documents: int,
) -> Mask:
    """Return the chunks that pass a filter; a column that is not there holds nothing."""
    mask = np.ones(len(document_of), bool)
    for condition in conditions:
        field = condition.field
        if field in of_chunks:
            mask &= of_chunks[field].where(condition)
        elif field == "document":
            mask &= _named(condition, of_documents)[document_of]
        else:
            column = of_documents(field) or Coded(np.zeros(documents, np.uint32), _NO_VALUES)
            mask &= column.where(condition)[document_of]
    return mask


_NO_VALUES = np.frombuffer(msgspec.msgpack.encode([]), np.uint8)

_ORDERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}


def _named(condition: Condition, of_documents: Callable[[str], Column | None]) -> Mask:
    """Return the documents whose id or source meets the condition; for ne and nin, neither may."""
    masks = [
        column.where(condition)
        for column in (of_documents("id"), of_documents("source"))
        if column is not None
    ]
    unlike = condition.operator in ("ne", "nin") or condition.value is False
    return np.logical_and.reduce(masks) if unlike else np.logical_or.reduce(masks)


def _predicate(condition: Condition) -> Callable[[Attribute | None], bool]:
    operator, wanted = condition.operator, condition.value
    if operator == "exists":
        return lambda value: (value is not None) is wanted
    if operator == "prefix":
        return lambda value: isinstance(value, str) and value.startswith(str(wanted))
    if operator in _ORDERS:
        holds = _ORDERS[operator]
        return lambda value: type(value) is float and bool(holds(value, wanted))
    listed = {(type(one), one) for one in _listed(wanted)}
    if operator in ("eq", "in"):
        return lambda value: (type(value), value) in listed
    return lambda value: (type(value), value) not in listed


def _listed(value: Attribute | tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    return value if isinstance(value, tuple) else (value,)


def _plain(value: Attribute | None) -> Attribute | None:
    """Return a whole number as the number that filters compare with."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _groups(allowed: Sequence[tuple[str, ...]]) -> Coded:
    known: dict[tuple[str, ...], int] = {}
    codes = [known.setdefault(groups, len(known) + 1) if groups else 0 for groups in allowed]
    lists = msgspec.msgpack.encode(list(known))
    return Coded(np.array(codes, np.uint32), np.frombuffer(lists, np.uint8))
