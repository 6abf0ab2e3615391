"""The job ``evals.run``: a suite of the folder, run in a control process; a kill costs what was asked
at that moment and no more."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from santral.errors import BadRequest
from santral.evals.baseline import RUN_PREFIX, find_baselines, held_against
from santral.evals.evaluation import evaluate
from santral.evals.place import Place, Wish
from santral.evals.run import Run
from santral.evals.runner import Told, first_of
from santral.evals.suites import known_suite
from santral.jobs.job import Hold
from santral.tenants.permission import Grant, Principal
from santral.tenants.tree import TenantTree

#: What the job is called in the table of jobs.
EVALUATE = "evals.run"
#: Ids of runs as they are made here; a name of a file is none.
_RUN_ID = re.compile(rf"{RUN_PREFIX}[0-9A-Za-z_-]+(\.[0-9]+)?")
#: Least time between two reports of progress, in seconds: each is a row written. Chosen.
REPORT_EVERY_S = 0.5


class EvaluateArguments(Struct, frozen=True, kw_only=True):
    """What to run: a suite of the folder by its name, and what to hold it against."""

    suite: str
    baseline: str = ""  # the id of a run, last, or nothing
    limit: int | None = None
    is_fresh: bool = False


class Evaluation:
    """The work of ``evals.run``."""

    def __init__(self, open_place: Callable[[], Place], folder: Path) -> None:
        self._open_place = open_place
        self._folder = folder

    async def __call__(self, hold: Hold, arguments: EvaluateArguments) -> Mapping[str, Any]:
        """Run the suite, or go on with what an earlier try has left; return what came of it.

        Raises:
            SantralError: see ``evaluate``.
        """
        place = self._open_place()
        suite = known_suite(self._folder, arguments.suite)
        if arguments.limit is not None:
            suite = replace(suite, suite=replace(suite.suite, limit=arguments.limit))
        job = hold.job
        by = Principal(
            name=job.created_by,
            origin="job",
            grants=(Grant("owner", job.tenant_id),),
            tree=TenantTree({job.tenant_id: None}),
        )
        wish = Wish(
            suite=suite,
            tenant=job.tenant_id,
            id=f"{RUN_PREFIX}{job.id.removeprefix('job_')}",
            is_resumed=True,
            is_fresh=arguments.is_fresh,
        )
        return await _reporting(hold, place, wish, arguments.baseline, by)


def check_baseline(ref: str) -> None:
    """Raise BadRequest where a job could not find a baseline: it sees no files and no repository."""
    if ref and ref != "last" and not _RUN_ID.fullmatch(ref):
        raise BadRequest(
            "A baseline is the id of a run, or last. Commits and files are for the command line.",
            param="baseline",
        )


async def _reporting(
    hold: Hold, place: Place, wish: Wish, baseline: str, by: Principal
) -> dict[str, Any]:
    """Do the work, and write down how far it is beside it."""
    told: dict[str, Told] = {}
    ended = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_tell(hold, told, ended))
            try:
                return await _worked(place, wish, baseline, by, told)
            finally:
                ended.set()
    except* Exception as failures:  # noqa: BLE001 - each is raised again, without the group around it
        raise first_of(failures) from None
    raise AssertionError("unreachable")  # the block returns or raises


async def _tell(hold: Hold, told: Mapping[str, Told], ended: asyncio.Event) -> None:
    """Report the target that moved last, until the work has ended; never in the middle of a statement."""
    while not ended.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(REPORT_EVERY_S):
                await ended.wait()
        for target, seen in list(told.items())[-1:]:
            await hold.report(target, seen.done, seen.total)


async def _worked(
    place: Place, wish: Wish, baseline: str, by: Principal, told: dict[str, Told]
) -> dict[str, Any]:
    def tell(target: str, now: Told) -> None:
        told[target] = now

    bases: Mapping[str, Run] = {}
    if baseline:
        bases = await find_baselines(place, wish, baseline, by=by, tell=tell)
        wish = replace(wish, baselines=bases)
    runs = await evaluate(place, wish, by=by, tell=tell)
    verdicts = await held_against(place, wish, runs, bases, by=by)
    return {
        "runs": [run.head.id for run in runs],
        "verdicts": {
            one.head.id: {"base": one.base.id, "outcome": one.outcome} for one in verdicts
        },
        "stop_reason": next((r.head.stop_reason for r in runs if r.head.stop_reason), ""),
    }
