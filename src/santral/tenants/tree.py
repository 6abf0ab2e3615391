"""Tenants as a tree: an organisation has teams, a team has projects; all are tenants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from santral.tenants.tenant import TenantId

#: Levels of the tree. Chosen: organisation, team and project are three; each costs a look upwards.
MAX_DEPTH = 8


class TenantTree:
    """Who is whose part, at one moment."""

    __slots__ = ("_parents",)

    def __init__(self, parents: Mapping[TenantId, TenantId | None]) -> None:
        self._parents = dict(parents)

    def __contains__(self, tenant: object) -> bool:
        return tenant in self._parents

    def __iter__(self) -> Iterator[TenantId]:
        return iter(self._parents)

    def parents(self) -> dict[str, str | None]:
        """Return the parent of each tenant: all that the tree is made of."""
        return {**self._parents}

    def path(self, tenant: TenantId) -> list[TenantId]:
        """Return the tenant, its parent, and so on up to the top; empty for one that is unknown."""
        path: list[TenantId] = []
        step: TenantId | None = tenant
        # A chain longer than the tree can be is not followed for ever, whatever a database holds.
        while step is not None and step in self._parents and len(path) <= len(self._parents):
            path.append(step)
            step = self._parents[step]
        return path

    def is_within(self, tenant: TenantId, over: TenantId) -> bool:
        """Whether ``tenant`` is ``over`` or beneath it."""
        return over in self.path(tenant)

    def beneath(self, over: Iterable[TenantId]) -> frozenset[TenantId]:
        """Return the tenants in ``over`` with everything beneath them."""
        tops = set(over)
        return frozenset(t for t in self._parents if not tops.isdisjoint(self.path(t)))
