"""Opens a judge of a suite, and the labels it is held against."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from santral.db.engine import reading
from santral.errors import BadRequest, nearest
from santral.evals.answer import Answer
from santral.evals.calibration.labelled import Labelled, labelled_of
from santral.evals.datasets.files import ENDINGS
from santral.evals.datasets.known import examples_of
from santral.evals.evaluator import Evaluator
from santral.evals.evaluators.registry import build
from santral.evals.example import Example
from santral.evals.place import Place
from santral.evals.recorded import read_recorded
from santral.evals.suite import EvaluatorUse, SuiteFile
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId


@asynccontextmanager
async def opened_judge(
    place: Place, suite: SuiteFile, name: str, tenant: TenantId
) -> AsyncGenerator[tuple[Evaluator, EvaluatorUse]]:
    """Hold a judge of a suite, ready to ask, and what the suite says of it.

    Raises:
        BadRequest: the suite has no evaluator of the name, or it cannot be built.
    """
    use = _use_named(suite, name)
    folder = suite.path.resolve().parent
    async with (
        place.open_ask(place.loaded, place.database, tenant) as ask,
        place.open_tools(place.loaded, place.engine, tenant, ask, folder) as tools,
    ):
        yield await build(use.use, name, use.params, tools, place.evaluators), use


async def read_labels(
    place: Place, tenant: TenantId, source: str, label: str, use: EvaluatorUse, *, by: Principal
) -> list[Labelled]:
    """Return what people said: of a file, or of a data set by NAME or NAME@VERSION.

    Raises:
        BadRequest: the file cannot be read, or holds a label that nobody knows.
        NotFound: no such data set or version.
        NotAllowed: no role that may read it.
    """
    answers: Mapping[str, Answer] = {}
    if source.endswith(tuple(ENDINGS)):
        examples, answers = await asyncio.to_thread(read_recorded, Path(source))
    else:
        examples = await _known(place, tenant, source, by=by)
    words: dict[str, float] = use.params.get("labels", {})  # checked when the judge was built
    return labelled_of(examples, answers, label, words)


async def _known(place: Place, tenant: TenantId, source: str, *, by: Principal) -> list[Example]:
    by.require("datasets.read", tenant)
    name, _, version = source.partition("@")
    if version and not version.isdigit():
        raise BadRequest(f"'{source}' names no version of a data set. Write {name}@3.")
    async with reading(place.database) as conn:
        return await examples_of(conn, tenant, name, int(version) if version else None)


def _use_named(suite: SuiteFile, name: str) -> EvaluatorUse:
    uses = {one.name or one.use: one for one in suite.suite.evaluators}
    if name not in uses:
        raise BadRequest(
            f"{suite.path}: there is no evaluator '{name}'.{nearest(name, uses)} "
            f"There are: {', '.join(uses)}.",
            code="no_judge",
        )
    return uses[name]
