"""One target of a suite: begun or gone on with, run, and ended whatever happens."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from santral.db.engine import reading, writing
from santral.errors import SantralError
from santral.evals import store
from santral.evals.answer import Answer, Ask
from santral.evals.cases import Cases
from santral.evals.evaluator import Case, Evaluator
from santral.evals.fingerprint import Fingerprint, fingerprint
from santral.evals.kept import RunKeeper, begin_run, end_run, read_samples, whole_run
from santral.evals.kind import corpus_of
from santral.evals.opened import nobody
from santral.evals.pace import Purse
from santral.evals.place import Place, TellTarget, Wish
from santral.evals.question import Item, items_of
from santral.evals.resume import check_same
from santral.evals.run import Run, RunHead, Sample
from santral.evals.runner import Keep, Known, Outcome, Runner, SampleKey
from santral.evals.scoring import measures_of, score
from santral.evals.suite import Suite, Target
from santral.tenants.permission import Principal


class TargetRun:
    """One target of a suite while it is run."""

    def __init__(
        self,
        place: Place,
        wish: Wish,
        cases: Cases,
        target: Target,
        number: int,
        evaluators: Sequence[Evaluator],
    ) -> None:
        self._place, self._wish, self._cases = place, wish, cases
        self._target, self._evaluators = target, evaluators
        self._replay = wish.replay.get(target.name)
        self._run_id = wish.id if len(wish.suite.suite.targets) == 1 else f"{wish.id}.{number + 1}"

    async def run(self, ask: Ask, purse: Purse, by: Principal, tell: TellTarget) -> Run:
        head = await self._head()
        done = await self._begun(head, by) if self._wish.is_kept else {}
        if done is None:
            async with reading(self._place.database) as conn:
                found = await store.find_run(conn, self._wish.tenant, self._run_id)
                assert found is not None  # noqa: S101 - it is done, as `_begun` saw
                whole = await whole_run(conn, found)
            for sample in whole.samples:
                purse.count(sample)  # the cap is over all targets
            return whole
        for sample in done.values():
            purse.count(sample)
        items = self._items(head)
        if self._replay is not None or self._target.is_recorded:
            ask = nobody
        runner = Runner(
            ask=ask,
            evaluators=self._evaluators,
            score=score,
            keep=self._keeper(),
            purse=purse,
            concurrency=self._suite.concurrency,
            known=await self._known(items),
            others=_others(self._wish.baselines.get(self._target.name), items),
            tell=lambda told: tell(self._target.name, told),
            tags={"eval_run": head.id},
        )
        return await self._run(runner, items, done, head)

    async def _run(
        self,
        runner: Runner,
        items: Sequence[Item],
        done: Mapping[SampleKey, Sample],
        head: RunHead,
    ) -> Run:
        try:
            outcome = await runner.run(items, done)
        except asyncio.CancelledError:
            await self._end(replace(head, stop_reason="cancelled"), runner.purse, "stopped")
            raise
        except SantralError as error:
            await self._end(replace(head, stop_reason=error.message[:200]), runner.purse, "failed")
            raise
        run = self._made(head, outcome)
        if self._wish.is_kept:
            state = "stopped" if outcome.stop_reason else "done"
            await end_run(
                self._place.database, self._wish.tenant, run, state,
                runner.purse.spent_nanousd, self._place.clock(),
            )  # fmt: skip
        return run

    @property
    def _suite(self) -> Suite:
        """The suite; a replay has the repeats of what it replays."""
        suite = self._wish.suite.suite
        return suite if self._replay is None else replace(suite, repeats=self._replay.head.repeats)

    def _made(self, head: RunHead, outcome: Outcome) -> Run:
        ended = replace(
            head,
            finished_at=self._place.clock().isoformat(),
            is_complete=not outcome.stop_reason,
            stop_reason=outcome.stop_reason,
        )
        examples = {one.id: one for one in self._cases.examples}
        cases = [
            Case(example=examples[one.example_id], answer=one.answer, repeat=one.repeat)
            for one in outcome.samples
        ]
        ended = replace(ended, corpus=corpus_of(self._evaluators, cases))
        return Run(head=ended, samples=outcome.samples, examples=examples)

    async def _end(self, head: RunHead, purse: Purse, state: store.RunState) -> None:
        """Write down that a run was given up, with what it has."""
        if not self._wish.is_kept:
            return
        async with reading(self._place.database) as conn:
            samples, examples = await read_samples(conn, self._wish.tenant, self._run_id)
        run = Run(head=head, samples=list(samples.values()), examples=examples)
        now = self._place.clock()
        await end_run(self._place.database, self._wish.tenant, run, state, purse.spent_nanousd, now)

    async def _head(self) -> RunHead:
        print_ = await self._fingerprint()
        suite, target = self._suite, self._target
        baseline = self._wish.baselines.get(target.name)
        versions = {m.name: one.version for one in self._evaluators for m in one.measures}
        return RunHead(
            id=self._run_id,
            suite=suite.name,
            target=target.name,
            route=target.route,
            prompt=print_.prompt,
            dataset=self._cases.name,
            dataset_digest=self._cases.digest,
            config_hash=print_.config_hash,
            target_hash=_digest_of(target),
            git_sha=self._wish.git_sha,
            seed=suite.seed or 0,
            repeats=suite.repeats,
            measures=measures_of(self._evaluators),
            evaluators=versions,
            judges=_judges(self._evaluators),
            against=baseline.head.id if baseline else "",
            started_at=self._place.clock().isoformat(),
        )

    async def _fingerprint(self) -> Fingerprint:
        if self._replay is not None:
            head = self._replay.head
            return Fingerprint(config_hash=head.config_hash, prompt=head.prompt)
        if self._target.is_recorded:
            said = msgspec.json.encode(self._cases.recorded, order="sorted")
            return Fingerprint(config_hash=hashlib.sha256(said).hexdigest())
        if self._place.is_remote:
            return Fingerprint()
        async with reading(self._place.database) as conn:
            return await fingerprint(self._place.loaded, conn, self._wish.tenant, self._target)

    async def _begun(self, head: RunHead, by: Principal) -> dict[SampleKey, Sample] | None:
        """Begin the run, or go on with it; return what is done of it, None where all is.

        Raises:
            Conflict: what is there was made with something else.
        """
        engine, tenant, now = self._place.database, self._wish.tenant, self._place.clock()
        keep_days = self._place.loaded.config.evals.keep_answers_days
        async with writing(engine) as conn:
            await store.delete_answers(conn, tenant, now - timedelta(days=keep_days))
            found = await store.find_run(conn, tenant, self._run_id)
            if found is not None and self._wish.is_resumed:
                if found.state == "done":
                    return None
                check_same(found.head, head)
                await store.set_state(conn, tenant, self._run_id, "running")
                return (await read_samples(conn, tenant, self._run_id))[0]
        await begin_run(engine, tenant, head, now, by=by)
        return {}

    def _items(self, head: RunHead) -> list[Item]:
        return items_of(
            self._suite, self._target, self._cases.examples,
            config_hash=head.config_hash, prompt=head.prompt,
        )  # fmt: skip

    async def _known(self, items: Sequence[Item]) -> Known:
        if self._replay is not None:
            return _replayed(self._replay)
        if self._target.is_recorded:
            return lambda item: self._cases.recorded.get(item.example.id)
        keys = [item.key for item in items if item.key]
        if not (keys and self._suite.cache and self._wish.is_kept) or self._wish.is_fresh:
            return lambda _: None
        async with reading(self._place.database) as conn:
            answers = await store.find_answers(conn, self._wish.tenant, keys)
        return lambda item: answers.get(item.key)

    def _keeper(self) -> Keep:
        if not self._wish.is_kept:
            return _forget
        examples = {one.id: one for one in self._cases.examples}
        return RunKeeper(
            self._place.database, self._wish.tenant, self._run_id, examples, self._place.clock
        )


async def _forget(sample: Sample, key: str) -> None:
    """Keep nothing: the run is in memory, and goes to a file."""
    del sample, key


def _replayed(run: Run) -> Known:
    """Return what finds the answers of a run; one to an example that has changed since is none."""
    answers = {(s.example_id, s.example_hash, s.repeat): s.answer for s in run.samples}
    return lambda item: answers.get((item.example.id, item.example_hash, item.repeat))


def _others(baseline: Run | None, items: Sequence[Item]) -> dict[SampleKey, Answer]:
    """Return the answers of the baseline to the same examples; those to changed ones are left out."""
    if baseline is None:
        return {}
    hashes = {item.example.id: item.example_hash for item in items}
    return {
        (one.example_id, one.repeat): one.answer
        for one in baseline.samples
        if not one.answer.error and hashes.get(one.example_id) == one.example_hash
    }


def _digest_of(target: Target) -> str:
    said = msgspec.json.encode(replace(target, name=""), order="sorted")
    return hashlib.sha256(said).hexdigest()


def _judges(evaluators: Sequence[Evaluator]) -> dict[str, str]:
    """Return the models that judge, by measure; evaluators that ask none have no ``judge_model``."""
    named: list[tuple[Evaluator, Any]] = [
        (one, getattr(one, "judge_model", "")) for one in evaluators
    ]
    return {measure.name: str(model) for one, model in named if model for measure in one.measures}
