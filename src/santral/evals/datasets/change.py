"""Make, fill, change and delete data sets: the same for command line, API and console.

Every change of an example is a new revision; no revision ever changes, but by an erasure.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from santral.audit.note import note
from santral.db.engine import Connection, Engine, reading, writing
from santral.errors import BadRequest, Conflict, NotFound, SantralError
from santral.evals.datasets import store
from santral.evals.datasets.dataset import Changed, Dataset, Provenance, Revision, Version
from santral.evals.datasets.known import known_dataset, known_row, shown_to
from santral.evals.datasets.shape import MAX_EXAMPLES, checked
from santral.evals.example import Example, digest_of
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId

#: What a data set may be called: a slash, an @ or a colon would make NAME@3 ambiguous.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
#: Data sets of one tenant. Chosen.
_MOST_DATASETS = 1_000
#: Examples of one transaction. Chosen: it holds other writers of SQLite up for half a second.
_BATCH = 2_000
_LOOK = 500  # ids of one statement

#: What happens with an example whose id is there with another content.
OnExisting: TypeAlias = Literal["replace", "keep", "refuse"]
#: An example, and where it comes from.
Sourced: TypeAlias = tuple[Example, Provenance]


class DatasetLine(Struct, frozen=True, kw_only=True):
    """A data set as people see it in a list."""

    dataset: Dataset
    examples: int = 0
    versions: tuple[Version, ...] = ()
    newest: int = 0  # 0: there is no version yet


async def create_dataset(
    engine: Engine, tenant: str, name: str, now: datetime, *, by: Principal, description: str = ""
) -> Dataset:
    """Make an empty data set.

    Raises:
        NotFound: no such tenant.
        NotAllowed: no role that may write data sets there.
        BadRequest: the name cannot be used.
        Conflict: there is one of this name.
    """
    by.require("datasets.write", TenantId(tenant))
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"A data set cannot be called {name[:64]!r}. Take letters, digits and . _ - "
            "(128 at most), a letter or digit first.",
            param="name",
        )
    made = Dataset(
        tenant_id=tenant,
        name=name,
        description=description,
        settings={},
        created_by=by.name,
        created_at=now,
        updated_at=now,
    )
    async with writing(engine) as conn:
        owner = await known_tenant(conn, tenant)
        if len(await store.list_datasets(conn, owner.id)) >= _MOST_DATASETS:
            raise Conflict(f"There are {_MOST_DATASETS} data sets. Delete one first.")
        if not await store.insert_dataset(conn, owner.id, made):
            raise Conflict(f"There is a data set '{name}' already.", code="dataset_exists")
        await note(
            conn, by.actor, "datasets.create", f"dataset:{name}",
            tenant_id=owner.id, after={"description": description},
        )  # fmt: skip
    return made


async def delete_dataset(
    engine: Engine, tenant: str, name: str, *, by: Principal, is_forced: bool = False
) -> DatasetLine:
    """Delete a data set with every revision and version.

    Raises:
        NotFound: no such data set.
        NotAllowed: no role that may write data sets there.
        Conflict: it holds examples, and nobody has said that they may go.
    """
    async with writing(engine) as conn:
        known = await known_dataset(conn, tenant, name, "datasets.write", by=by, is_held=True)
        line = await _line(conn, known)
        if (line.examples or line.versions) and not is_forced:
            raise Conflict(
                f"The data set '{name}' holds {line.examples} examples and {len(line.versions)} "
                "versions. They go with it: say force.",
                code="dataset_not_empty",
            )
        await store.delete_dataset(conn, known.tenant_id, name)
        await note(
            conn, by.actor, "datasets.delete", f"dataset:{name}", tenant_id=known.tenant_id,
            before={"examples": line.examples, "versions": len(line.versions)},
        )  # fmt: skip
    return line


async def list_datasets(engine: Engine, tenant: str, *, by: Principal) -> list[DatasetLine]:
    """Return a tenant's data sets by name.

    Raises:
        NotFound: no such tenant.
        NotAllowed: no role that may read data sets there.
    """
    by.require("datasets.read", TenantId(tenant))
    async with reading(engine) as conn:
        owner = await known_tenant(conn, tenant)
        rows = await store.list_datasets(conn, owner.id)
        counted = await store.count_examples(conn, owner.id)
        newest = await store.newest_versions(conn, owner.id)
    return [
        DatasetLine(dataset=row, examples=counted.get(row.name, 0), newest=newest.get(row.name, 0))
        for row in rows
    ]


async def show_dataset(engine: Engine, tenant: str, name: str, *, by: Principal) -> DatasetLine:
    """Return a data set with its versions; raises as ``list_datasets``, NotFound for itself, too."""
    async with reading(engine) as conn:
        return await _line(conn, await known_dataset(conn, tenant, name, "datasets.read", by=by))


async def examples_page(
    engine: Engine, tenant: str, name: str, *, by: Principal, after: str = "", limit: int = 50
) -> list[Revision]:
    """Return examples that are there now by id, from the one after ``after``.

    What end users said is shown to who may read payloads; others see that it is there.

    Raises:
        NotFound: no such data set.
        NotAllowed: no role that may read data sets there.
    """
    async with reading(engine) as conn:
        known = await known_dataset(conn, tenant, name, "datasets.read", by=by)
        found = await store.newest_page(conn, known.tenant_id, name, after=after, limit=limit)
    return shown_to(by, tenant, found)


async def example_history(
    engine: Engine, tenant: str, name: str, example_id: str, *, by: Principal
) -> list[Revision]:
    """Return every revision of an example, the newest first.

    Raises:
        NotFound: no such data set, or it never had such an example.
    """
    async with reading(engine) as conn:
        known = await known_dataset(conn, tenant, name, "datasets.read", by=by)
        found = await store.history_of(conn, known.tenant_id, name, example_id)
    if not found:
        raise _no_example(name, example_id)
    return shown_to(by, tenant, found)


async def add_examples(
    engine: Engine,
    tenant: str,
    name: str,
    examples: Iterable[Sourced],
    now: datetime,
    *,
    by: Principal,
    on_existing: OnExisting = "replace",
    act: str = "add_examples",
) -> Changed:
    """Add examples, or new revisions of those whose ids are there; what is equal stays as it is.

    ``examples`` may be more than memory holds: they are written in batches. One that stops half-way
    goes on where it was when it is started again. ``act`` is what the audit log calls it.

    Raises:
        NotFound: no such data set.
        NotAllowed: no role that may write data sets there.
        BadRequest: an example cannot be kept; names it.
        Conflict: an id is there with another content, and nobody says what then; or there are too many.
    """
    total = Changed()
    source = iter(examples)
    while batch := await asyncio.to_thread(_next, source):
        async with writing(engine) as conn:
            known = await known_dataset(conn, tenant, name, "datasets.write", by=by, is_held=True)
            counted = await put_in(conn, known, batch, now, by=by, on_existing=on_existing)
            total += counted
            if counted.created or counted.patched:
                await note(
                    conn, by.actor, f"datasets.{act}", f"dataset:{name}",
                    tenant_id=known.tenant_id, after=msgspec.to_builtins(counted),
                )  # fmt: skip
    return total


async def put_in(
    conn: Connection,
    dataset: Dataset,
    examples: Sequence[Sourced],
    now: datetime,
    *,
    by: Principal,
    on_existing: OnExisting = "replace",
) -> Changed:
    """Add examples in the caller's transaction; ``dataset`` is held. See ``add_examples``."""
    tenant_id, name = dataset.tenant_id, dataset.name
    made: list[Revision] = []
    total = Changed()
    for some in _parts(examples, _LOOK):
        before = await store.newest_of(conn, tenant_id, name, [one.id for one, _ in some if one.id])
        for example, provenance in some:
            given = _kept(example)
            old = before.get(given.id)
            if old is not None and old.is_there and _is_same(old, given):
                total += Changed(same=1)
                continue
            if old is not None and old.is_there and on_existing != "replace":
                if on_existing == "refuse":
                    raise Conflict(
                        f"The example '{given.id}' is there with another content. Say whether it is "
                        "to be replaced or kept.",
                        code="example_exists",
                    )
                total += Changed(same=1)
                continue
            fresh = _revision(given, provenance, old, now, by)
            before[given.id] = fresh
            made.append(fresh)
            total += Changed(patched=1) if fresh.kind == "patch" else Changed(created=1)
    await _require_room(conn, tenant_id, name, total.created)
    await store.insert_revisions(conn, tenant_id, name, made)
    await store.update_dataset(conn, tenant_id, name, updated_at=now)
    return total


async def change_example(
    engine: Engine,
    tenant: str,
    name: str,
    example_id: str,
    changes: Mapping[str, Any],
    now: datetime,
    *,
    by: Principal,
) -> Revision:
    """Change fields of an example; null takes one back to its default.

    Raises:
        NotFound: no such data set or example.
        NotAllowed: no role that may write data sets there.
        BadRequest: what comes of it cannot be kept.
    """
    async with writing(engine) as conn:
        known = await known_dataset(conn, tenant, name, "datasets.write", by=by, is_held=True)
        old = await _there(conn, known, example_id)
        example = _changed(old, changes)
        if _is_same(old, example):
            return old
        fresh = _revision(example, old.provenance or Provenance(), old, now, by)
        await _write_one(conn, known, fresh, "datasets.change_example", by=by)
    return fresh


async def delete_example(
    engine: Engine, tenant: str, name: str, example_id: str, now: datetime, *, by: Principal
) -> Revision:
    """Take an example out of what later versions hold; those that have it keep it.

    Raises:
        NotFound: no such data set or example.
        NotAllowed: no role that may write data sets there.
    """
    async with writing(engine) as conn:
        known = await known_dataset(conn, tenant, name, "datasets.write", by=by, is_held=True)
        old = await _there(conn, known, example_id)
        gone = msgspec.structs.replace(
            old, revision=old.revision + 1, kind="delete", content=None,
            created_by=by.name, created_at=now,
        )  # fmt: skip
        await _write_one(conn, known, gone, "datasets.delete_example", by=by)
    return gone


async def _write_one(
    conn: Connection, known: Dataset, revision: Revision, action: str, *, by: Principal
) -> None:
    tenant_id, name = known.tenant_id, known.name
    await store.insert_revisions(conn, tenant_id, name, [revision])
    await store.update_dataset(conn, tenant_id, name, updated_at=revision.created_at)
    await note(
        conn, by.actor, action, f"dataset:{name}", tenant_id=tenant_id,
        after={"example": revision.example_id, "revision": revision.revision},
    )  # fmt: skip


async def _there(conn: Connection, known: Dataset, example_id: str) -> Revision:
    found = await store.newest_of(conn, known.tenant_id, known.name, [example_id])
    old = found.get(example_id)
    if old is None or not old.is_there:
        raise _no_example(known.name, example_id)
    return old


async def _line(conn: Connection, known: Dataset) -> DatasetLine:
    counted = await store.count_examples(conn, known.tenant_id)
    versions = await store.list_versions(conn, known.tenant_id, known.name)
    return DatasetLine(
        dataset=await known_row(conn, known.tenant_id, known.name),
        examples=counted.get(known.name, 0),
        versions=tuple(versions),
        newest=versions[0].version if versions else 0,
    )


async def _require_room(conn: Connection, tenant_id: str, name: str, more: int) -> None:
    if more == 0:
        return
    there = (await store.count_examples(conn, tenant_id)).get(name, 0)
    if there + more > MAX_EXAMPLES:
        raise Conflict(
            f"'{name}' would hold {there + more:,} examples; {MAX_EXAMPLES:,} are the most. "
            "Take a sample, or make another data set.",
            code="dataset_full",
        )


def _revision(
    example: Example, provenance: Provenance, old: Revision | None, now: datetime, by: Principal
) -> Revision:
    return Revision(
        example_id=example.id,
        revision=1 if old is None else old.revision + 1,
        kind="patch" if old is not None and old.is_there else "create",
        content=msgspec.structs.replace(example, id="", split=""),
        content_hash=digest_of(example),
        split=example.split,
        provenance=provenance,
        subject=provenance.subject or (old.subject if old is not None else ""),
        created_by=by.name,
        created_at=now,
    )


def _kept(example: Example) -> Example:
    try:
        return checked(example)
    except SantralError as error:
        raise BadRequest(
            f"The example '{example.id[:64]}': {error.message}", param=error.param
        ) from None


def _changed(old: Revision, changes: Mapping[str, Any]) -> Example:
    if "id" in changes:
        raise BadRequest("An id does not change: delete the example and add another.", param="id")
    before = msgspec.to_builtins(old.content)
    after = {**before, **{name: value for name, value in changes.items() if value is not None}}
    for name, value in changes.items():
        if name not in Example.__struct_fields__:
            raise BadRequest(f"There is no field '{name}' in an example.", code="unknown_field")
        if value is None:
            after.pop(name, None)
    try:
        return _kept(msgspec.convert(after, Example))
    except msgspec.ValidationError as error:
        raise BadRequest(f"{error}.") from None


def _is_same(old: Revision, example: Example) -> bool:
    return old.content_hash == digest_of(example) and old.split == example.split


def _next(source: Iterator[Sourced]) -> list[Sourced]:
    return list(islice(source, _BATCH))


def _parts(items: Sequence[Sourced], size: int) -> Iterator[Sequence[Sourced]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _no_example(name: str, example_id: str) -> NotFound:
    return NotFound(
        f"'{name}' has no example '{example_id[:64]}'. Show them with: santral datasets show {name}",
        code="example_not_found",
    )
