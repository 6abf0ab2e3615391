"""Who may see which documents: the one place that says it.

A search cannot be asked for without a ``Scope``, and a ``Scope`` cannot be had without saying whose
it is. Every index filters by it before scores are compared, so that nothing of a hidden document
shows: no text, no score, no count.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct


class Scope(Struct, frozen=True):
    """The part of one collection that somebody may see.

    ``tenant_id`` owns the documents (a shared collection's owner, not the caller). ``groups`` None
    means: without regard to groups, for those who administer the collection.
    """

    tenant_id: str
    collection: str
    groups: frozenset[str] | None


def as_member(tenant_id: str, collection: str, groups: Iterable[str]) -> Scope:
    """Return what somebody with these groups may see; with none, only what is for everybody."""
    return Scope(tenant_id, collection, frozenset(groups))


def as_administrator(tenant_id: str, collection: str) -> Scope:
    """Return everything of a collection, for those who may administer it (``collections.read``)."""
    return Scope(tenant_id, collection, None)
