"""What is done to all examples of a data set at once: split, mask, label, augment, fill, check.

All of it makes new revisions; versions that are there stay as they are.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

import msgspec
import numpy as np
from msgspec import Struct

from santral.db.engine import Engine, reading
from santral.evals.answer import Ask
from santral.evals.datasets.augment import Augmented, augment
from santral.evals.datasets.change import Sourced, add_examples
from santral.evals.datasets.dataset import Changed, Provenance, Revision
from santral.evals.datasets.known import known_dataset
from santral.evals.datasets.label import LabelFunction, Labelled, label_examples
from santral.evals.datasets.near import (
    ALIKE,
    Exposed,
    Leak,
    Pair,
    find_alike,
    find_exposed,
    find_leaks,
)
from santral.evals.datasets.purse import Purse
from santral.evals.datasets.scan import Scan, masked_example, scan_examples
from santral.evals.datasets.splits import assign_splits
from santral.evals.datasets.versions import held_by
from santral.evals.example import Example
from santral.tenants.permission import Action, Principal
from santral.tenants.tenant import TenantId


class Check(Struct, frozen=True):
    """What is doubtful about the examples."""

    examples: int
    duplicates: list[Pair]
    leaks: list[Leak]
    exposed: list[Exposed]
    personal: Scan

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found that makes a score doubtful."""
        return not (self.duplicates or self.leaks or self.exposed or self.personal.kinds)


async def check_dataset(
    engine: Engine,
    tenant: str,
    name: str,
    *,
    by: Principal,
    version: int | None = 0,
    alike: float = ALIKE,
    prompts: Mapping[str, str] | None = None,
) -> Check:
    """Look for near-duplicates, leaks between splits and into prompts, and personal data.

    ``version`` 0 is what is there now, None the newest version; ``prompts`` are texts by name.

    Raises:
        NotFound: no such data set or version.
        NotAllowed: no role that may read data sets there.
    """
    held = await _held(engine, tenant, name, "datasets.read", by=by, version=version)
    examples = _contents(held)
    return await asyncio.to_thread(_checked, examples, alike, prompts or {})


async def split_dataset(
    engine: Engine,
    tenant: str,
    name: str,
    shares: Mapping[str, float],
    now: datetime,
    *,
    by: Principal,
    stratify: str = "",
    seed: str = "",
    is_kept: bool = True,
) -> dict[str, int]:
    """Give every example a split; return how many each has. See ``assign_splits``.

    Raises:
        NotFound: no such data set.
        NotAllowed: no role that may write data sets there.
    """
    held = await _held(engine, tenant, name, "datasets.write", by=by)
    examples = _contents(held)
    alike = await asyncio.to_thread(find_alike, examples)
    splits = assign_splits(
        examples, shares, alike, stratify=stratify, seed=seed or name, is_kept=is_kept
    )

    def other(example: Example) -> Example:
        return msgspec.structs.replace(example, split=splits[example.id])

    await _rewrite(engine, tenant, name, held, other, now, by=by, act="split")
    return dict(Counter(splits.values()).most_common())


async def mask_dataset(
    engine: Engine, tenant: str, name: str, now: datetime, *, by: Principal
) -> Changed:
    """Replace personal data by placeholders in new revisions; what was committed keeps it.

    Raises:
        NotFound: no such data set.
        NotAllowed: no role that may write data sets there.
    """
    held = await _held(engine, tenant, name, "datasets.write", by=by)
    return await _rewrite(engine, tenant, name, held, masked_example, now, by=by, act="mask")


async def label_dataset(
    engine: Engine,
    tenant: str,
    name: str,
    field: str,
    functions: Mapping[str, LabelFunction],
    now: datetime,
    *,
    by: Principal,
    is_majority: bool = False,
) -> Labelled:
    """Write the combined label of functions into ``metadata[field]``; where they say nothing, nothing.

    Raises:
        NotFound: no such data set.
        NotAllowed: no role that may write data sets there.
    """
    held = await _held(engine, tenant, name, "datasets.write", by=by)
    found = await asyncio.to_thread(label_examples, _contents(held), functions)
    labels = {one.example: one.majority if is_majority else one.label for one in found.labels}

    def other(example: Example) -> Example:
        label = labels[example.id]
        if label is None:
            return example
        return msgspec.structs.replace(example, metadata={**example.metadata, field: label})

    await _rewrite(engine, tenant, name, held, other, now, by=by, act="label")
    return found


async def augment_dataset(
    engine: Engine,
    tenant: str,
    name: str,
    ways: Sequence[str],
    rng: np.random.Generator,
    now: datetime,
    *,
    by: Principal,
    per_example: int = 1,
    split: str = "",
    ask: Ask | None = None,
    route: str = "",
    purse: Purse | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> tuple[Augmented, Changed]:
    """Add what ``augment`` makes of examples, of one split alone where it is named.

    What was made before of the same example in the same way is replaced, and nothing is made of what
    was made.

    Raises:
        NotFound: no such data set.
        NotAllowed: no role that may write data sets there.
        BadRequest: a way is unknown, or there is nobody to ask.
    """
    held = await _held(engine, tenant, name, "datasets.write", by=by)
    parents = [
        one
        for one in held
        if (not split or one.split == split)
        and (one.provenance is None or one.provenance.origin != "augmented")
    ]
    made = await augment(
        parents, ways, rng,
        per_example=per_example, ask=ask, route=route, purse=purse, told=told,
    )  # fmt: skip
    return made, await add_examples(engine, tenant, name, made.made, now, by=by, act="augment")


async def held_now(
    engine: Engine, tenant: str, name: str, *, by: Principal, version: int | None = None
) -> list[Example]:
    """Return the examples of a version (None: the newest, 0: what is there now), for an export.

    Raises:
        NotFound: no such data set or version.
        NotAllowed: no role that may read data sets there; or end users' words are among them, and none
            that may read these.
    """
    held = await _held(engine, tenant, name, "datasets.read", by=by, version=version)
    if any(one.holds_a_person for one in held):
        by.require("payloads.read", TenantId(tenant))
    return _contents(held)


async def _held(
    engine: Engine,
    tenant: str,
    name: str,
    action: Action,
    *,
    by: Principal,
    version: int | None = 0,
) -> list[Revision]:
    async with reading(engine) as conn:
        known = await known_dataset(conn, tenant, name, action, by=by)
        return await held_by(conn, known.tenant_id, name, version)


async def _rewrite(
    engine: Engine,
    tenant: str,
    name: str,
    held: Sequence[Revision],
    change: Callable[[Example], Example],
    now: datetime,
    *,
    by: Principal,
    act: str,
) -> Changed:
    made: list[Sourced] = await asyncio.to_thread(partial(_rewritten, held, change))
    return await add_examples(engine, tenant, name, made, now, by=by, act=act)


def _rewritten(held: Sequence[Revision], change: Callable[[Example], Example]) -> list[Sourced]:
    return [
        (change(one.content), one.provenance or Provenance())
        for one in held
        if one.content is not None
    ]


def _checked(examples: Sequence[Example], alike: float, prompts: Mapping[str, str]) -> Check:
    found = find_alike(examples, alike)
    return Check(
        examples=len(examples),
        duplicates=found.pairs,
        leaks=find_leaks(examples, found),
        exposed=find_exposed(examples, prompts),
        personal=scan_examples(examples),
    )


def _contents(held: Sequence[Revision]) -> list[Example]:
    return [one.content for one in held if one.content is not None]
