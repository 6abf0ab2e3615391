"""SQL of data sets, their revisions and versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import RowMapping, and_, delete, exists, func, insert, literal, select, update

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.tables import (
    dataset_revisions,
    dataset_version_examples,
    dataset_versions,
    datasets,
)
from santral.evals.datasets.dataset import Dataset, Provenance, Revision, Version
from santral.evals.example import Example

_DATASET = [datasets.c[name] for name in Dataset.__struct_fields__]
_REVISION = [dataset_revisions.c[name] for name in Revision.__struct_fields__]
_VERSION = [dataset_versions.c[name] for name in Version.__struct_fields__]
_newer = dataset_revisions.alias("newer")
_IS_NEWEST = ~exists().where(
    _newer.c.tenant_id == dataset_revisions.c.tenant_id,
    _newer.c.dataset == dataset_revisions.c.dataset,
    _newer.c.example_id == dataset_revisions.c.example_id,
    _newer.c.revision > dataset_revisions.c.revision,
)
#: What a version made now would hold.
_IS_THERE = and_(_IS_NEWEST, dataset_revisions.c.kind.in_(("create", "patch")))
#: Which revision a version holds.
_IS_HELD = and_(
    dataset_version_examples.c.tenant_id == dataset_revisions.c.tenant_id,
    dataset_version_examples.c.dataset == dataset_revisions.c.dataset,
    dataset_version_examples.c.example_id == dataset_revisions.c.example_id,
    dataset_version_examples.c.revision == dataset_revisions.c.revision,
)


async def insert_dataset(conn: Connection, tenant_id: str, made: Dataset) -> bool:
    """Make a data set where there is none of its name; return whether it was made."""
    row = {**msgspec.to_builtins(made, builtin_types=(datetime,)), "tenant_id": tenant_id}
    statement = upsert(conn, datasets).values(**row).on_conflict_do_nothing()
    return (await conn.execute(statement)).rowcount == 1


async def find_dataset(
    conn: Connection, tenant_id: str, name: str, *, is_held: bool = False
) -> Dataset | None:
    """Return a data set, or nothing; ``is_held``: other writers of it wait until this one commits."""
    statement = select(*_DATASET).where(datasets.c.tenant_id == tenant_id, datasets.c.name == name)
    if is_held:
        statement = statement.with_for_update()
    row = (await conn.execute(statement)).mappings().one_or_none()
    return None if row is None else Dataset(**row)


async def list_datasets(conn: Connection, tenant_id: str) -> list[Dataset]:
    """Return a tenant's data sets by name."""
    statement = select(*_DATASET).where(datasets.c.tenant_id == tenant_id).order_by(datasets.c.name)
    return [Dataset(**row) for row in (await conn.execute(statement)).mappings()]


async def update_dataset(conn: Connection, tenant_id: str, name: str, **changed: Any) -> None:
    """Change the description, the settings or the time of the last change of a data set."""
    statement = (
        update(datasets)
        .where(datasets.c.tenant_id == tenant_id, datasets.c.name == name)
        .values(**changed)
    )
    await conn.execute(statement)


async def delete_dataset(conn: Connection, tenant_id: str, name: str) -> None:
    """Delete a data set with every revision and version."""
    for table in (dataset_version_examples, dataset_versions, dataset_revisions):
        await conn.execute(
            delete(table).where(table.c.tenant_id == tenant_id, table.c.dataset == name)
        )
    await conn.execute(
        delete(datasets).where(datasets.c.tenant_id == tenant_id, datasets.c.name == name)
    )


async def count_examples(conn: Connection, tenant_id: str) -> dict[str, int]:
    """Return how many examples each of a tenant's data sets has now."""
    statement = (
        select(dataset_revisions.c.dataset, func.count())
        .where(dataset_revisions.c.tenant_id == tenant_id, _IS_THERE)
        .group_by(dataset_revisions.c.dataset)
    )
    return {row[0]: row[1] for row in (await conn.execute(statement)).all()}


async def insert_revisions(
    conn: Connection, tenant_id: str, name: str, revisions: Iterable[Revision]
) -> None:
    """Add revisions; one of their numbers must not be there."""
    rows = [
        {
            **msgspec.to_builtins(one, builtin_types=(datetime,)),
            "tenant_id": tenant_id,
            "dataset": name,
        }
        for one in revisions
    ]
    if rows:
        await conn.execute(insert(dataset_revisions), rows)


async def newest_of(
    conn: Connection, tenant_id: str, name: str, ids: Sequence[str]
) -> dict[str, Revision]:
    """Return the newest revision of each of some examples that were ever there, by id."""
    statement = select(*_REVISION).where(
        dataset_revisions.c.tenant_id == tenant_id,
        dataset_revisions.c.dataset == name,
        dataset_revisions.c.example_id.in_(ids),
        _IS_NEWEST,
    )
    found = [_revision(row) for row in (await conn.execute(statement)).mappings()]
    return {one.example_id: one for one in found}


async def newest_page(
    conn: Connection, tenant_id: str, name: str, *, after: str = "", limit: int = 1_000
) -> list[Revision]:
    """Return the newest revisions of examples that are there now, by id, from the one after ``after``."""
    statement = (
        select(*_REVISION)
        .where(
            dataset_revisions.c.tenant_id == tenant_id,
            dataset_revisions.c.dataset == name,
            dataset_revisions.c.example_id > after,
            _IS_THERE,
        )
        .order_by(dataset_revisions.c.example_id)
        .limit(limit)
    )
    return [_revision(row) for row in (await conn.execute(statement)).mappings()]


async def history_of(
    conn: Connection, tenant_id: str, name: str, example_id: str
) -> list[Revision]:
    """Return every revision of an example, the newest first."""
    statement = (
        select(*_REVISION)
        .where(
            dataset_revisions.c.tenant_id == tenant_id,
            dataset_revisions.c.dataset == name,
            dataset_revisions.c.example_id == example_id,
        )
        .order_by(dataset_revisions.c.revision.desc())
    )
    return [_revision(row) for row in (await conn.execute(statement)).mappings()]


async def manifest_rows(conn: Connection, tenant_id: str, name: str) -> list[tuple[str, str, str]]:
    """Return id, content hash and split of every example that is there now."""
    statement = select(
        dataset_revisions.c.example_id,
        dataset_revisions.c.content_hash,
        dataset_revisions.c.split,
    ).where(
        dataset_revisions.c.tenant_id == tenant_id,
        dataset_revisions.c.dataset == name,
        _IS_THERE,
    )
    return [(row[0], row[1], row[2]) for row in (await conn.execute(statement)).all()]


async def insert_version(conn: Connection, tenant_id: str, name: str, made: Version) -> None:
    """Add a version that holds what is there now."""
    row = msgspec.to_builtins(made, builtin_types=(datetime,))
    await conn.execute(insert(dataset_versions), {**row, "tenant_id": tenant_id, "dataset": name})
    columns = ["tenant_id", "dataset", "version", "example_id", "revision", "split"]
    held = select(
        dataset_revisions.c.tenant_id,
        dataset_revisions.c.dataset,
        literal(made.version),
        dataset_revisions.c.example_id,
        dataset_revisions.c.revision,
        dataset_revisions.c.split,
    ).where(
        dataset_revisions.c.tenant_id == tenant_id,
        dataset_revisions.c.dataset == name,
        _IS_THERE,
    )
    await conn.execute(insert(dataset_version_examples).from_select(columns, held))


async def list_versions(conn: Connection, tenant_id: str, name: str) -> list[Version]:
    """Return every version of a data set, the newest first."""
    statement = (
        select(*_VERSION)
        .where(dataset_versions.c.tenant_id == tenant_id, dataset_versions.c.dataset == name)
        .order_by(dataset_versions.c.version.desc())
    )
    return [Version(**row) for row in (await conn.execute(statement)).mappings()]


async def newest_versions(conn: Connection, tenant_id: str) -> dict[str, int]:
    """Return the number of the newest version of each of a tenant's data sets that has one."""
    statement = (
        select(dataset_versions.c.dataset, func.max(dataset_versions.c.version))
        .where(dataset_versions.c.tenant_id == tenant_id)
        .group_by(dataset_versions.c.dataset)
    )
    return {row[0]: row[1] for row in (await conn.execute(statement)).all()}


async def save_card(
    conn: Connection, tenant_id: str, name: str, version: int, card: Mapping[str, Any]
) -> None:
    """Keep the card of a version."""
    statement = (
        update(dataset_versions)
        .where(
            dataset_versions.c.tenant_id == tenant_id,
            dataset_versions.c.dataset == name,
            dataset_versions.c.version == version,
        )
        .values(card=dict(card))
    )
    await conn.execute(statement)


async def version_page(
    conn: Connection,
    tenant_id: str,
    name: str,
    version: int,
    *,
    after: str = "",
    limit: int = 1_000,
) -> list[Revision]:
    """Return what a version holds by id, from the one after ``after``, with the split it had then."""
    held = dataset_version_examples
    statement = (
        select(*_REVISION)
        .join(held, _IS_HELD)
        .where(
            held.c.tenant_id == tenant_id,
            held.c.dataset == name,
            held.c.version == version,
            held.c.example_id > after,
        )
        .order_by(held.c.example_id)
        .limit(limit)
    )
    return [_revision(row) for row in (await conn.execute(statement)).mappings()]


async def version_rows(
    conn: Connection, tenant_id: str, name: str, version: int
) -> dict[str, tuple[str, str]]:
    """Return content hash and split of every example of a version, by id."""
    held = dataset_version_examples
    statement = (
        select(held.c.example_id, dataset_revisions.c.content_hash, held.c.split)
        .join(dataset_revisions, _IS_HELD)
        .where(held.c.tenant_id == tenant_id, held.c.dataset == name, held.c.version == version)
    )
    return {row[0]: (row[1], row[2]) for row in (await conn.execute(statement)).all()}


def _revision(row: RowMapping) -> Revision:
    known: dict[str, Any] = dict(row)
    content, provenance = known.pop("content"), known.pop("provenance")
    if content is not None:
        content = msgspec.convert({**content, "id": known["example_id"]}, Example)
        content = msgspec.structs.replace(content, split=known["split"])
    if provenance is not None:
        provenance = msgspec.convert(provenance, Provenance)
    return Revision(content=content, provenance=provenance, **known)
