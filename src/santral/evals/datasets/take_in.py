"""Files into a data set: looked through first, so that a wrong row leaves nothing half-done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from santral.db.engine import Engine
from santral.evals.datasets.change import OnExisting, Sourced, add_examples
from santral.evals.datasets.dataset import Changed, Provenance
from santral.evals.datasets.files import Fault, iterate_examples
from santral.evals.datasets.shape import Rest
from santral.evals.example import Example
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId

#: Rows left out that are named; the rest are counted. Chosen.
_MOST_FAULTS = 20


class Imported(Struct, frozen=True):
    """What came of a file."""

    changed: Changed
    skipped: int
    faults: list[Fault]  # the first of those that were skipped


class Import(Struct, frozen=True, kw_only=True):
    """How a file is read."""

    mapping: dict[str, str] = {}  # field to column
    rest: Rest = "refuse"
    skips_bad: bool = False
    split: str = ""  # of rows that name none
    on_existing: OnExisting = "replace"


async def import_file(
    engine: Engine,
    tenant: str,
    name: str,
    path: Path,
    how: Import,
    now: datetime,
    *,
    by: Principal,
    source: str = "",
    told: Callable[[int], None] = lambda _: None,
) -> Imported:
    """Add the examples of a file; ``told`` hears how many were written.

    Raises:
        NotFound: no such tenant or data set.
        NotAllowed: no role that may write data sets there.
        BadRequest: the file cannot be read, or a row is no example and is not to be skipped; nothing
            was changed then.
    """
    by.require("datasets.write", TenantId(tenant))
    faults: list[Fault] = []
    await asyncio.to_thread(_look_through, path, how, faults)
    read = _read(path, how, lambda _: None)
    origin = Provenance(origin="file", source=(source or path.name)[:256])
    changed = await add_examples(
        engine, tenant, name, _sourced(read, origin, how.split, told), now, by=by,
        on_existing=how.on_existing, act="import",
    )  # fmt: skip
    return Imported(changed, len(faults), faults[:_MOST_FAULTS])


def _look_through(path: Path, how: Import, faults: list[Fault]) -> None:
    for _ in _read(path, how, faults.append):
        pass


def _read(path: Path, how: Import, skip: Callable[[Fault], None]) -> Iterator[Example]:
    mapping: Mapping[str, str] | None = how.mapping or None
    return iterate_examples(path, mapping, rest=how.rest, skip=skip if how.skips_bad else None)


def _sourced(
    examples: Iterator[Example], origin: Provenance, split: str, told: Callable[[int], None]
) -> Iterator[Sourced]:
    for number, example in enumerate(examples, 1):
        if split and not example.split:
            example = msgspec.structs.replace(example, split=split)
        yield example, origin
        told(number)
