"""Two kept runs beside each other: the comparison, and each example with what it lost or won."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
from msgspec import Struct

from santral.db.engine import Engine, reading
from santral.errors import BadRequest
from santral.evals import store
from santral.evals.evaluator import Measure
from santral.evals.kept import known_run, whole_run
from santral.evals.run import Run
from santral.evals.shown import run_shown
from santral.evals.suites import list_suites
from santral.evals.verdict.compare import compare
from santral.evals.verdict.comparison import Comparison
from santral.evals.verdict.gate import Gate
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId

#: Samples of a run that are compared here, in a process that has other work. Measured: 10,000 take
#: some seconds of one core; more are for the command line.
_MOST_SAMPLES = 50_000


class Compared(Struct, frozen=True, kw_only=True):
    """Two runs and their comparison."""

    base: Run
    head: Run
    comparison: Comparison


class Lost(Struct, frozen=True, kw_only=True):
    """What one example scores in both runs, repeats averaged; ``loss`` is above 0 where it got worse."""

    example_id: str
    base: float
    head: float
    loss: float


async def compare_kept(
    engine: Engine, folder: Path, tenant: str, base: str, head: str, *, by: Principal
) -> Compared:
    """Compare two kept runs, by the gate of head's suite where ``folder`` has it, else the usual one.

    Whose role may not read payloads gets the numbers without the words.

    Raises:
        NotFound: no such tenant or run.
        NotAllowed: no role that may read evaluations there.
        BadRequest: they are too large to be compared here.
    """
    by.require("evals.read", TenantId(tenant))
    async with reading(engine) as conn:
        rows = [await known_run(conn, tenant, one) for one in (base, head)]
        for row in rows:
            if await store.count_samples(conn, tenant, row.id) > _MOST_SAMPLES:
                raise BadRequest(
                    f"{row.id} has more than {_MOST_SAMPLES:,} samples. Compare on the command line: "
                    f"santral eval compare {base} {head}",
                    code="run_too_large",
                )
        runs = [await whole_run(conn, row) for row in rows]
    before, after = [run_shown(run, by, tenant) for run in runs]
    gate = _gate(folder, after.head.suite)
    rng = np.random.default_rng(after.head.seed)
    found = await asyncio.to_thread(compare, before, after, gate, rng=rng)
    return Compared(base=before, head=after, comparison=found)


def losses(compared: Compared, measure: Measure) -> list[Lost]:
    """Return the examples that both runs scored, the greatest loss first."""
    before, after = compared.base.values(measure.name), compared.head.values(measure.name)
    sign = -1.0 if measure.direction == "lower" else 1.0
    found = [
        Lost(
            example_id=one,
            base=_mean(before[one]),
            head=_mean(after[one]),
            loss=sign * (_mean(before[one]) - _mean(after[one])),
        )
        for one in before.keys() & after.keys()
    ]
    return sorted(found, key=lambda lost: (-lost.loss, lost.example_id))


def _gate(folder: Path, suite: str) -> Gate:
    """Return the gate of a suite as it stands now, or the usual one where it is not there."""
    found = [line.suite.suite for line in list_suites(folder) if line.suite is not None]
    return next((one.gate for one in found if one.name == suite), Gate())


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
