"""Runs that are kept: listed, shown, loaded whole, exported and deleted, for every door alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from santral.audit.note import note
from santral.db.engine import Connection, Engine, reading, writing
from santral.errors import NotFound
from santral.evals import store
from santral.evals.example import Example
from santral.evals.run import Run, RunHead, Sample
from santral.evals.runner import SampleKey
from santral.evals.shown import example_without_words, may_read_words, without_words
from santral.evals.store import KeptSample, RunState, StoredRun
from santral.evals.summary import summary_of
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Principal
from santral.tenants.tenant import DEFAULT_TENANT, TenantId

#: Most runs of one list, and samples read at once. Chosen.
MAX_LISTED, PAGE = 200, 1_000


class RunKeeper:
    """Keeps one run while it lasts: what it has returned from outlives a kill.

    Whoever gets the lock writes what all others brought meanwhile, in one transaction.
    """

    def __init__(
        self,
        engine: Engine,
        tenant: TenantId,
        run_id: str,
        examples: dict[str, Example],
        clock: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._tenant = tenant
        self._run_id = run_id
        self._examples = examples
        self._clock = clock
        self._waiting: list[KeptSample] = []
        self._writing = asyncio.Lock()  # one transaction at a time; the others join the next one

    async def __call__(self, sample: Sample, key: str) -> None:
        """Keep a sample, and its answer under ``key``; see ``Keep``."""
        example = self._examples[sample.example_id]
        kept = KeptSample(sample=sample, example=example, key=key)
        self._waiting.append(kept)
        async with self._writing:
            if kept in self._waiting:
                batch, self._waiting = self._waiting, []
                await self._write(batch)

    async def _write(self, batch: list[KeptSample]) -> None:
        now = self._clock()
        paid = [
            kept
            for kept in batch
            if kept.key and not kept.sample.answer.error and not kept.sample.answer.is_replayed
        ]
        async with writing(self._engine) as conn:
            await store.put_samples(conn, self._tenant, self._run_id, batch, now)
            await store.put_answers(conn, self._tenant, paid, now)


async def begin_run(
    engine: Engine, tenant: TenantId, head: RunHead, now: datetime, *, by: Principal
) -> StoredRun:
    """Keep a run that begins. The first tenant is made by whoever asks first, so it may not be there yet.

    Raises:
        NotFound: no such tenant.
        NotAllowed: no role that may run evaluations there.
    """
    by.require("evals.run", tenant)
    run = StoredRun(
        id=head.id,
        tenant_id=tenant,
        suite=head.suite,
        target=head.target,
        state="running",
        head=head,
        summary=None,
        cost_nanousd=0,
        created_by=by.name,
        created_at=now,
        finished_at=None,
    )
    async with writing(engine) as conn:
        if tenant != DEFAULT_TENANT:
            await known_tenant(conn, tenant)
        await store.insert_run(conn, tenant, run)
        await note(
            conn, by.actor, "evals.run", f"eval:{head.id}", tenant_id=tenant,
            after={"suite": head.suite, "target": head.target, "dataset": head.dataset},
        )  # fmt: skip
    return run


async def end_run(
    engine: Engine, tenant: TenantId, run: Run, state: RunState, cost_nanousd: int, now: datetime
) -> None:
    """Write down how a run ended, with its summary."""
    async with writing(engine) as conn:
        await store.update_run(
            conn,
            tenant,
            run.head.id,
            run.head,
            state=state,
            summary=msgspec.to_builtins(summary_of(run)),
            cost_nanousd=cost_nanousd,
            finished_at=None if state == "running" else now,
        )


async def list_kept(
    engine: Engine,
    tenant: str,
    *,
    by: Principal,
    suite: str = "",
    target: str = "",
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[StoredRun]:
    """Return the latest runs of a tenant, the newest first.

    Raises:
        NotFound: no such tenant.
        NotAllowed: no role that may read evaluations there.
    """
    by.require("evals.read", TenantId(tenant))
    async with reading(engine) as conn:
        return await store.list_runs(
            conn, tenant, suite=suite, target=target, before=before, limit=min(limit, MAX_LISTED)
        )


async def show_kept(engine: Engine, tenant: str, run_id: str, *, by: Principal) -> StoredRun:
    """Return one run without its samples; raises as ``list_kept``, NotFound for the run, too."""
    by.require("evals.read", TenantId(tenant))
    async with reading(engine) as conn:
        return await known_run(conn, tenant, run_id)


async def page_samples(
    engine: Engine,
    tenant: str,
    run_id: str,
    *,
    by: Principal,
    after: tuple[str, int] | None = None,
    limit: int = 50,
    failed_only: bool = False,
) -> list[tuple[Sample, Example | None]]:
    """Return a page of the samples of a run; raises as ``show_kept``.

    Whose role may not read payloads gets the numbers without the words.
    """
    by.require("evals.read", TenantId(tenant))
    async with reading(engine) as conn:
        await known_run(conn, tenant, run_id)
        found = await store.list_samples(
            conn, tenant, run_id, after=after, limit=min(limit, PAGE), failed_only=failed_only
        )
    if may_read_words(by, tenant):
        return found
    return [
        (without_words(sample), None if example is None else example_without_words(example))
        for sample, example in found
    ]


async def load_kept(engine: Engine, tenant: str, run_id: str, *, by: Principal) -> Run:
    """Return a run with everything in it; raises as ``show_kept``, and NotAllowed for who may not read
    payloads."""
    by.require("evals.read", TenantId(tenant))
    by.require("payloads.read", TenantId(tenant))
    async with reading(engine) as conn:
        found = await known_run(conn, tenant, run_id)
        return await whole_run(conn, found)


async def delete_kept(engine: Engine, tenant: str, run_id: str, *, by: Principal) -> StoredRun:
    """Delete a run with its samples; answers that other runs may take stay until their time is over.

    Raises:
        NotFound: no such tenant or run.
        NotAllowed: no role that may run evaluations there.
    """
    by.require("evals.run", TenantId(tenant))
    async with writing(engine) as conn:
        found = await known_run(conn, tenant, run_id)
        await store.delete_run(conn, tenant, run_id)
        said: dict[str, Any] = {"suite": found.suite, "target": found.target, "state": found.state}
        await note(
            conn, by.actor, "evals.delete", f"eval:{run_id}",
            tenant_id=TenantId(tenant), before=said,
        )  # fmt: skip
        return found


async def known_run(conn: Connection, tenant_id: str, run_id: str) -> StoredRun:
    """Return a run of a tenant; raises NotFound."""
    found = await store.find_run(conn, tenant_id, run_id)
    if found is None:
        raise NotFound(
            f"There is no run '{run_id[:64]}'. List them with: santral eval list",
            code="run_not_found",
        )
    return found


async def whole_run(conn: Connection, found: StoredRun) -> Run:
    """Return a run with its samples and their examples."""
    samples, examples = await read_samples(conn, found.tenant_id, found.id)
    return Run(head=found.head, samples=list(samples.values()), examples=examples)


async def read_samples(
    conn: Connection, tenant_id: str, run_id: str
) -> tuple[dict[SampleKey, Sample], dict[str, Example]]:
    """Return every sample of a run, and the examples they are about."""
    samples: dict[SampleKey, Sample] = {}
    examples: dict[str, Example] = {}
    after: tuple[str, int] | None = None
    while page := await store.list_samples(conn, tenant_id, run_id, after=after, limit=PAGE):
        for sample, example in page:
            samples[sample.example_id, sample.repeat] = sample
            if example is not None:
                examples[example.id] = example
        last = page[-1][0]
        after = last.example_id, last.repeat
    return samples, examples
