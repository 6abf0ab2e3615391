"""A data set as it is known: its row, one of its versions, and the examples in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from msgspec.structs import replace

from santral.db.engine import Connection
from santral.errors import NotFound, nearest
from santral.evals.datasets import store
from santral.evals.datasets.dataset import Dataset, Revision, Version
from santral.evals.example import Example
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Action, Principal
from santral.tenants.tenant import TenantId

_PAGE = 1_000


async def examples_of(
    conn: Connection, tenant_id: str, name: str, version: int | None = None
) -> list[Example]:
    """Return the examples of a version by id; of the newest one where none is named.

    Those of an erased person are left out: ``Version.examples`` counts them.

    Raises:
        NotFound: no such data set or version.
    """
    return (await read_version(conn, tenant_id, name, version))[1]


async def read_version(
    conn: Connection, tenant_id: str, name: str, version: int | None = None
) -> tuple[Version, list[Example]]:
    """Return a version and its examples; see ``examples_of``."""
    found = await version_of(conn, tenant_id, name, version)
    held = iterate_version(conn, tenant_id, name, found.version)
    return found, [one.content async for one in held if one.content is not None]


async def version_of(
    conn: Connection, tenant_id: str, name: str, version: int | None = None
) -> Version:
    """Return a version, the newest one where none is named.

    Raises:
        NotFound: no such data set or version; says which there are.
    """
    versions = await store.list_versions(conn, tenant_id, name)
    if not versions:
        await known_row(conn, tenant_id, name)
        raise NotFound(
            f"'{name}' has no version yet. Make one with: santral datasets commit {name}",
            code="dataset_version_not_found",
        )
    for one in versions:
        if version is None or one.version == version:
            return one
    raise NotFound(
        f"'{name}' has no version {version}; the newest is {versions[0].version}.",
        code="dataset_version_not_found",
    )


async def known_dataset(
    conn: Connection,
    tenant: str,
    name: str,
    action: Action,
    *,
    by: Principal,
    is_held: bool = False,
) -> Dataset:
    """Return a data set on which ``by`` may do ``action``; ``is_held``: writers take turns.

    Raises:
        NotFound: no such tenant or data set; names the nearest.
        NotAllowed: no role that may do it there.
    """
    by.require(action, TenantId(tenant))
    owner = await known_tenant(conn, tenant)
    return await known_row(conn, owner.id, name, is_held=is_held)


async def known_row(
    conn: Connection, tenant_id: str, name: str, *, is_held: bool = False
) -> Dataset:
    """Return the row of a data set; raises NotFound, which names the nearest."""
    found = await store.find_dataset(conn, tenant_id, name, is_held=is_held)
    if found is None:
        known = [one.name for one in await store.list_datasets(conn, tenant_id)]
        raise NotFound(
            f"There is no data set '{name[:64]}'.{nearest(name[:64], known)} "
            "List them with: santral datasets list",
            code="dataset_not_found",
            param="dataset",
        )
    return found


def shown_to(by: Principal, tenant: str, revisions: Sequence[Revision]) -> list[Revision]:
    """Return revisions without what end users said, where ``by`` may not read that."""
    if by.may("payloads.read", TenantId(tenant)):
        return list(revisions)
    return [replace(one, content=None) if one.holds_a_person else one for one in revisions]


def iterate_version(
    conn: Connection, tenant_id: str, name: str, version: int
) -> AsyncIterator[Revision]:
    """Yield what a version holds, by id; erased ones have no content."""
    return _pages(
        lambda after: store.version_page(conn, tenant_id, name, version, after=after, limit=_PAGE)
    )


def iterate_newest(conn: Connection, tenant_id: str, name: str) -> AsyncIterator[Revision]:
    """Yield what is there now, by id."""
    return _pages(lambda after: store.newest_page(conn, tenant_id, name, after=after, limit=_PAGE))


async def _pages(
    read: Callable[[str], Coroutine[Any, Any, list[Revision]]],
) -> AsyncIterator[Revision]:
    after = ""
    while page := await read(after):
        for one in page:
            yield one
        if len(page) < _PAGE:
            return
        after = page[-1].example_id
