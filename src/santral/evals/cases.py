"""The examples of a suite: of a file beside it, or of a version that Santral keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from msgspec import Struct

from santral.db.engine import reading
from santral.errors import BadRequest
from santral.evals.answer import Answer
from santral.evals.datasets.files import manifest_hash
from santral.evals.datasets.known import examples_of, version_of
from santral.evals.example import Example
from santral.evals.place import Place, Wish
from santral.evals.question import selected
from santral.evals.recorded import read_recorded


class Cases(Struct, frozen=True, kw_only=True):
    """The examples of a suite, and what they are called."""

    name: str
    digest: str
    examples: list[Example]
    recorded: Mapping[str, Answer]


async def read_cases(place: Place, wish: Wish) -> Cases:
    """Return what a suite asks about.

    Raises:
        BadRequest: the file cannot be read, or nothing of it is chosen.
        NotFound: there is no such data set or version.
    """
    suite, path = wish.suite.suite, wish.suite.dataset_path
    recorded: Mapping[str, Answer] = {}
    if path is not None:
        examples, recorded = await asyncio.to_thread(read_recorded, path)
        name = suite.dataset
    else:
        name, examples = await _known_examples(place, wish)
    chosen = selected(examples, suite)
    if not chosen:
        raise BadRequest(
            f"{wish.suite.path}: no example of {suite.dataset} is chosen ({len(examples)} are there). "
            "Look at split and filter.",
            code="no_examples",
        )
    return Cases(name=name, digest=manifest_hash(chosen), examples=chosen, recorded=recorded)


async def _known_examples(place: Place, wish: Wish) -> tuple[str, list[Example]]:
    name, at, number = wish.suite.suite.dataset.partition("@")
    if at and not number.isdigit():
        raise BadRequest(
            f"{wish.suite.path}: '{wish.suite.suite.dataset}' names no version. Write {name}@3, or "
            "the file's name with its ending.",
            code="bad_suite",
        )
    async with reading(place.database) as conn:
        version = await version_of(conn, wish.tenant, name, int(number) if at else None)
        examples = await examples_of(conn, wish.tenant, name, version.version)
    return f"{name}@{version.version}", examples
