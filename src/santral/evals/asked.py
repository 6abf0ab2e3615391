"""What ``santral eval run`` is asked to do, done: baseline, runs, verdicts."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from santral.config.load import LoadedConfig, load
from santral.db.engine import Engine
from santral.db.session import control_database
from santral.evals import kept
from santral.evals.baseline import RUN_PREFIX, find_baselines, held_against, read_runs
from santral.evals.evaluation import evaluate
from santral.evals.git import commit_of
from santral.evals.place import Place, TellTarget, Wish
from santral.evals.resume import batch_to_resume
from santral.evals.run import Run
from santral.evals.suite_file import read_suite
from santral.evals.verdict.comparison import Comparison
from santral.tenants.operator import local_operator
from santral.tenants.tenant import TenantId


class OpenPlace(Protocol):
    """Builds what this process evaluates with; ``url`` names a server to ask in its place."""

    def __call__(
        self, loaded: LoadedConfig, engine: Engine | None, url: str = "", key: str = ""
    ) -> Place: ...


class Asked(Struct, frozen=True, kw_only=True):
    """What the options of ``eval run`` say."""

    suite: Path
    tenant: TenantId
    baseline: str
    resume: str
    replay: str
    limit: int | None
    is_kept: bool
    is_fresh: bool
    url: str
    key: str
    config: Path | None


class Made(Struct, frozen=True, kw_only=True):
    """What an evaluation made."""

    runs: list[Run]
    comparisons: list[Comparison]


async def evaluate_asked(
    open_place: OpenPlace, asked: Asked, tell: TellTarget, begun: Callable[[str], None]
) -> Made:
    loaded = load(asked.config, os.environ)
    suite = read_suite(asked.suite)
    if asked.limit is not None:
        suite = replace(suite, suite=replace(suite.suite, limit=asked.limit))
    by = local_operator()
    async with _database(loaded, asked, suite.dataset_path is None) as engine:
        place = open_place(loaded, engine, asked.url, asked.key)
        wish = Wish(
            suite=suite,
            tenant=asked.tenant,
            id=f"{RUN_PREFIX}{place.random_bytes(8).hex()}",
            is_kept=asked.is_kept,
            is_fresh=asked.is_fresh,
            git_sha=await commit_of(suite.path.resolve().parent),
            replay=await _replayed(place, asked),
        )
        if asked.resume:
            wish = replace(
                wish, id=await batch_to_resume(place, wish, asked.resume), is_resumed=True
            )
        begun(wish.id)
        bases: Mapping[str, Run] = {}
        if asked.baseline:
            bases = await find_baselines(place, wish, asked.baseline, by=by, tell=_of_base(tell))
            wish = replace(wish, baselines=bases)
        runs = await evaluate(place, wish, by=by, tell=tell)
        return Made(runs=runs, comparisons=await held_against(place, wish, runs, bases, by=by))


@asynccontextmanager
async def _database(
    loaded: LoadedConfig, asked: Asked, needs_dataset: bool
) -> AsyncGenerator[Engine | None]:
    """Hold the control database where the evaluation needs one: it is made where there is none."""
    suite = read_suite(asked.suite).suite
    is_asked = not asked.replay and not all(target.is_recorded for target in suite.targets)
    is_known = asked.replay.startswith(RUN_PREFIX) or asked.baseline.startswith(RUN_PREFIX)
    if not (asked.is_kept or needs_dataset or is_asked or is_known):
        yield None
        return
    async with control_database(loaded.config) as engine:
        yield engine


async def _replayed(place: Place, asked: Asked) -> dict[str, Run]:
    if not asked.replay:
        return {}
    if asked.replay.endswith(".json"):
        runs = read_runs(Path(asked.replay))
    else:
        by = local_operator()
        runs = [await kept.load_kept(place.database, asked.tenant, asked.replay, by=by)]
    return {run.head.target: run for run in runs}


def _of_base(tell: TellTarget) -> TellTarget:
    return lambda target, told: tell(f"{target} (base)", told)
