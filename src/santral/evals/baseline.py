"""What a change is held against: a stored run, a file of one, or the run of another commit."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace

from santral.config.load import LoadedConfig, load
from santral.db.engine import reading
from santral.errors import BadRequest, NotFound
from santral.evals import store
from santral.evals.evaluation import evaluate
from santral.evals.git import merge_base, top_of, worktree
from santral.evals.kept import whole_run
from santral.evals.place import Place, TellTarget, Wish
from santral.evals.resume import OF_BASE, batch_of
from santral.evals.run import Run, decode_run
from santral.evals.store import StoredRun
from santral.evals.summary import Summary
from santral.evals.verdict.compare import compare
from santral.evals.verdict.comparison import Comparison, Past
from santral.tenants.permission import Principal

#: How ids of runs begin.
RUN_PREFIX = "run_"


async def find_baselines(
    place: Place, wish: Wish, ref: str, *, by: Principal, tell: TellTarget
) -> dict[str, Run]:
    """Return the run that each target of the suite is held against, as far as there is one.

    ``ref`` is a file, the id of a run, ``last`` (the newest complete run of each target), or a commit:
    then the run of the commit on which this work began, made now where there is none yet.

    Raises:
        BadRequest: it names nothing, or what it names cannot be run.
        NotFound: there is no such run.
    """
    if ref.endswith(".json"):
        return _matched(wish, read_runs(Path(ref)))
    if ref == "last":
        return await _latest(place, wish)
    if ref.startswith(RUN_PREFIX):
        return _matched(wish, await _stored(place, wish, ref))
    folder = wish.suite.path.resolve().parent
    sha = await merge_base(folder, ref)
    found = await _of_commit(place, wish, sha) if wish.is_kept else {}
    if len(found) == len(wish.suite.suite.targets):
        return found
    return await _run_commit(place, wish, sha, by=by, tell=tell)


async def held_against(
    place: Place, wish: Wish, runs: Sequence[Run], bases: Mapping[str, Run], *, by: Principal
) -> list[Comparison]:
    """Return a verdict for each run that has a baseline, by the gate of the suite."""
    found: list[Comparison] = []
    for head in runs:
        base = bases.get(head.head.target)
        if base is None:
            continue
        base = await rescored(place, wish, base, head, by=by)
        history = await past_of(place, wish, base)
        gate, rng = wish.suite.suite.gate, np.random.default_rng(head.head.seed)
        found.append(await asyncio.to_thread(compare, base, head, gate, history=history, rng=rng))
    return found


async def rescored(place: Place, wish: Wish, base: Run, head: Run, *, by: Principal) -> Run:
    """Return ``base`` with every measure of ``head``: scored again where an evaluator is another one by
    now or was not there, so that no series mixes two instruments. Nothing but judges is asked."""
    if all(base.head.evaluators.get(name) == now for name, now in head.head.evaluators.items()):
        return base
    targets = [one for one in wish.suite.suite.targets if one.name == head.head.target]
    suite = replace(wish.suite, suite=replace(wish.suite.suite, targets=targets))
    again = replace(
        wish, suite=suite, replay={head.head.target: base}, baselines={}, is_kept=False,
        id=base.head.id,
    )  # fmt: skip
    (made,) = await evaluate(place, again, by=by)
    return _with_scores_of(base, made)


def _with_scores_of(base: Run, made: Run) -> Run:
    """Return ``base`` with the scores of ``made``; examples that changed since, or went, have none."""
    scored = {(one.example_id, one.example_hash, one.repeat): one for one in made.samples}
    samples = [
        scored.get((one.example_id, one.example_hash, one.repeat), replace(one, scores=[]))
        for one in base.samples
    ]
    return Run(
        head=replace(
            made.head, git_sha=base.head.git_sha, started_at=base.head.started_at,
            is_complete=base.head.is_complete and made.head.is_complete,
            stop_reason=base.head.stop_reason or made.head.stop_reason,
        ),
        samples=samples,
        examples={**base.examples, **made.examples},
    )  # fmt: skip


async def past_of(place: Place, wish: Wish, base: Run, limit: int = 50) -> list[Past]:
    """Return earlier complete runs of what ``base`` is, the newest first: its history."""
    if not wish.is_kept:
        return []
    async with reading(place.database) as conn:
        found = await store.list_runs(
            conn, wish.tenant, suite=base.head.suite, target=base.head.target, limit=limit
        )
    return [
        Past(head=one.head, values=_values(one))
        for one in found
        if one.state == "done"
        and one.id != base.head.id
        and one.head.config_hash == base.head.config_hash
        and one.head.dataset_digest == base.head.dataset_digest
        and one.head.started_at <= base.head.started_at
    ]


def _values(run: StoredRun) -> dict[str, float]:
    summary = msgspec.convert(run.summary, Summary) if run.summary else None
    measures = summary.measures if summary else []
    return {one.name: one.value for one in measures if one.value is not None}


def read_runs(path: Path) -> list[Run]:
    """Return the runs of a file: one, or a list of them.

    Raises:
        BadRequest: it cannot be read, or holds none.
    """
    try:
        data = path.read_bytes()
        if data.lstrip()[:1] == b"[":
            return msgspec.json.decode(data, type=list[Run])
        return [decode_run(data)]
    except (OSError, msgspec.DecodeError) as error:
        raise BadRequest(
            f"{path} is no run: {error}. Write one with: santral eval export RUN --out {path.name}",
            code="baseline_not_found",
        ) from None


def _matched(wish: Wish, runs: Sequence[Run]) -> dict[str, Run]:
    """Return runs by target; a single one is held against a single target, whatever they are called."""
    by_target = {run.head.target: run for run in runs}
    targets = [target.name for target in wish.suite.suite.targets]
    if len(runs) == len(targets) == 1:
        return {targets[0]: runs[0]}
    found = {name: by_target[name] for name in targets if name in by_target}
    if not found:
        there, wanted = ", ".join(by_target), ", ".join(targets)
        raise BadRequest(
            f"The baseline has runs of {there}, and the suite's targets are {wanted}.",
            code="baseline_not_found",
        )
    return found


async def _stored(place: Place, wish: Wish, ref: str) -> list[Run]:
    async with reading(place.database) as conn:
        rows = await store.runs_beginning(conn, wish.tenant, batch_of(ref))
        if "." in ref:
            rows = [row for row in rows if row.id == ref]
        if not rows:
            raise NotFound(
                f"There is no run '{ref[:64]}'. List them with: santral eval list",
                code="run_not_found",
            )
        return [await whole_run(conn, row) for row in rows]


async def _latest(place: Place, wish: Wish) -> dict[str, Run]:
    """Return the newest complete run of each target, other than those that are made now."""
    found: dict[str, Run] = {}
    suite = wish.suite.suite
    async with reading(place.database) as conn:
        for target in suite.targets:
            rows = await store.list_runs(
                conn, wish.tenant, suite=suite.name, target=target.name, limit=20
            )
            done = [r for r in rows if r.state == "done" and batch_of(r.id) != wish.id]
            if done:
                found[target.name] = await whole_run(conn, done[0])
    if not found:
        raise NotFound(
            f"The suite '{suite.name}' has no complete run yet to hold this one against.",
            code="baseline_not_found",
        )
    return found


async def _of_commit(place: Place, wish: Wish, sha: str) -> dict[str, Run]:
    """Return complete runs that were made of a commit, with the repeats that are made now."""
    suite = wish.suite.suite
    found: dict[str, Run] = {}
    async with reading(place.database) as conn:
        for target in suite.targets:
            rows = await store.list_runs(
                conn, wish.tenant, suite=suite.name, target=target.name, git_sha=sha, limit=20
            )
            for row in rows:
                if row.state == "done" and row.head.repeats >= suite.repeats:
                    found[target.name] = await whole_run(conn, row)
                    break
    return found


async def _run_commit(
    place: Place, wish: Wish, sha: str, *, by: Principal, tell: TellTarget
) -> dict[str, Run]:
    """Run the suite as it is now with the configuration and prompts of another commit."""
    if place.is_remote:
        raise BadRequest(
            f"No run of {sha[:12]} is stored, and a server elsewhere cannot answer as that commit "
            "would. Run the suite there first, or name a run as the baseline.",
            code="baseline_not_found",
        )
    here = place.loaded.path
    folder = wish.suite.path.resolve().parent
    top = await top_of(folder)
    if here is None or not here.is_relative_to(top):
        raise BadRequest(
            f"No run of {sha[:12]} is stored, and it cannot be made: the configuration "
            f"{here or 'in force'} is not in the repository {top}. Name one that is with --config.",
            code="baseline_not_found",
        )
    async with worktree(top, sha) as tree:
        before = _as_of(place.loaded, tree / here.relative_to(top), sha)
        there = replace(place, loaded=before)
        again = replace(wish, id=f"{wish.id}{OF_BASE}", git_sha=sha, baselines={}, replay={})
        runs = await evaluate(there, again, by=by, tell=tell)
    return {run.head.target: run for run in runs}


def _as_of(now: LoadedConfig, path: Path, sha: str) -> LoadedConfig:
    """Return the configuration of another commit over today's data: documents, limits and keys stay."""
    if not path.is_file():
        raise BadRequest(
            f"The commit {sha[:12]} has no {path.name}: there is nothing to compare with.",
            code="baseline_not_found",
        )
    before = load(path, os.environ)
    config = before.config.model_copy(
        update={"data": now.config.data, "database": now.config.database}
    )
    return LoadedConfig(
        config=config, path=before.path, origins=before.origins, digest=before.digest
    )
