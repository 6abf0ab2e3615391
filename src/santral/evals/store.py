"""SQL of runs, their samples, and answers that were paid for once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct
from sqlalchemy import delete, func, insert, or_, select, tuple_, update

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.tables import eval_answers, eval_runs, eval_samples
from santral.evals.answer import Answer
from santral.evals.example import Example
from santral.evals.run import RunHead, Sample

RunState: TypeAlias = Literal["running", "done", "stopped", "failed"]

#: Keys of one question to the database: under the bound of SQLite's variables. Chosen.
_MOST_KEYS = 500


class StoredRun(Struct, frozen=True, kw_only=True):
    """A run as its row says, without its samples; ``summary`` is there once it has ended."""

    id: str
    tenant_id: str
    suite: str
    target: str
    state: RunState
    head: RunHead
    summary: dict[str, Any] | None
    cost_nanousd: int
    created_by: str
    created_at: datetime
    finished_at: datetime | None


class KeptSample(Struct, frozen=True, kw_only=True):
    """A sample with what it is about; ``key`` is empty where its answer is not to be taken again."""

    sample: Sample
    example: Example
    key: str = ""


_RUN = [eval_runs.c[name] for name in StoredRun.__struct_fields__]


async def insert_run(conn: Connection, tenant_id: str, run: StoredRun) -> None:
    """Keep a run that begins."""
    row = {name: getattr(run, name) for name in StoredRun.__struct_fields__}
    row |= _told(run.head) | {"tenant_id": tenant_id}
    await conn.execute(insert(eval_runs), row)


async def update_run(
    conn: Connection,
    tenant_id: str,
    run_id: str,
    head: RunHead,
    *,
    state: RunState,
    summary: Mapping[str, Any] | None,
    cost_nanousd: int,
    finished_at: datetime | None,
) -> None:
    """Write down how far a run has come."""
    statement = (
        update(eval_runs)
        .where(eval_runs.c.tenant_id == tenant_id, eval_runs.c.id == run_id)
        .values(
            state=state,
            summary=summary,
            cost_nanousd=cost_nanousd,
            finished_at=finished_at,
            **_told(head),
        )
    )
    await conn.execute(statement)


async def set_state(conn: Connection, tenant_id: str, run_id: str, state: RunState) -> None:
    """Write down that a run goes on, or no longer does."""
    statement = (
        update(eval_runs)
        .where(eval_runs.c.tenant_id == tenant_id, eval_runs.c.id == run_id)
        .values(state=state)
    )
    await conn.execute(statement)


async def find_run(conn: Connection, tenant_id: str, run_id: str) -> StoredRun | None:
    """Return a run of a tenant, or nothing."""
    statement = select(*_RUN).where(eval_runs.c.tenant_id == tenant_id, eval_runs.c.id == run_id)
    row = (await conn.execute(statement)).mappings().one_or_none()
    return None if row is None else _run(row)


async def list_runs(
    conn: Connection,
    tenant_id: str,
    *,
    suite: str = "",
    target: str = "",
    git_sha: str = "",
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[StoredRun]:
    """Return the latest runs, the newest first; ``before`` is the last one of the page before."""
    statement = select(*_RUN).where(eval_runs.c.tenant_id == tenant_id)
    for column, wanted in (("suite", suite), ("target", target), ("git_sha", git_sha)):
        if wanted:
            statement = statement.where(eval_runs.c[column] == wanted)
    if before is not None:
        at, last = before
        statement = statement.where(
            or_(
                eval_runs.c.created_at < at,
                (eval_runs.c.created_at == at) & (eval_runs.c.id < last),
            )
        )
    ordered = statement.order_by(eval_runs.c.created_at.desc(), eval_runs.c.id.desc())
    return [_run(row) for row in (await conn.execute(ordered.limit(limit))).mappings()]


async def runs_beginning(conn: Connection, tenant_id: str, prefix: str) -> list[StoredRun]:
    """Return the runs that were begun together: one for each target of a suite."""
    statement = select(*_RUN).where(
        eval_runs.c.tenant_id == tenant_id,
        or_(eval_runs.c.id == prefix, eval_runs.c.id.startswith(f"{prefix}.", autoescape=True)),
    )
    rows = (await conn.execute(statement.order_by(eval_runs.c.id))).mappings()
    return [_run(row) for row in rows]


async def delete_run(conn: Connection, tenant_id: str, run_id: str) -> bool:
    """Delete a run with its samples; return whether it was there."""
    for table, column in ((eval_samples, "run_id"), (eval_runs, "id")):
        statement = delete(table).where(table.c.tenant_id == tenant_id, table.c[column] == run_id)
        found = await conn.execute(statement)
    return found.rowcount == 1


async def put_samples(
    conn: Connection, tenant_id: str, run_id: str, samples: Sequence[KeptSample], now: datetime
) -> None:
    """Keep samples; one that is there already, from before the run was resumed, is replaced."""
    for kept in samples:
        sample = kept.sample
        row: dict[str, Any] = {
            "example_hash": sample.example_hash,
            "example": msgspec.to_builtins(kept.example) if sample.repeat == 0 else None,
            "sample": msgspec.to_builtins(sample),
            "is_error": bool(sample.answer.error),
            "created_at": now,
        }
        statement = upsert(conn, eval_samples).values(
            tenant_id=tenant_id,
            run_id=run_id,
            example_id=sample.example_id,
            repeat=sample.repeat,
            **row,
        )
        keys = ["tenant_id", "run_id", "example_id", "repeat"]
        await conn.execute(statement.on_conflict_do_update(index_elements=keys, set_=row))


async def list_samples(
    conn: Connection,
    tenant_id: str,
    run_id: str,
    *,
    after: tuple[str, int] | None = None,
    limit: int = 1_000,
    failed_only: bool = False,
) -> list[tuple[Sample, Example | None]]:
    """Return a page of samples by example and repeat, the first repeat of each with its example."""
    statement = select(eval_samples.c.sample, eval_samples.c.example).where(
        eval_samples.c.tenant_id == tenant_id, eval_samples.c.run_id == run_id
    )
    if failed_only:
        statement = statement.where(eval_samples.c.is_error)
    place = tuple_(eval_samples.c.example_id, eval_samples.c.repeat)
    if after is not None:
        statement = statement.where(place > after)
    statement = statement.order_by(eval_samples.c.example_id, eval_samples.c.repeat).limit(limit)
    return [
        (msgspec.convert(sample, Sample), None if one is None else msgspec.convert(one, Example))
        for sample, one in await conn.execute(statement)
    ]


async def count_samples(conn: Connection, tenant_id: str, run_id: str) -> int:
    """Return how many samples a run has."""
    statement = select(func.count()).where(
        eval_samples.c.tenant_id == tenant_id, eval_samples.c.run_id == run_id
    )
    return (await conn.execute(statement)).scalar_one()


async def find_answers(conn: Connection, tenant_id: str, keys: Sequence[str]) -> dict[str, Answer]:
    """Return the answers that are kept, by key."""
    found: dict[str, Answer] = {}
    for start in range(0, len(keys), _MOST_KEYS):
        statement = select(eval_answers.c.key, eval_answers.c.answer).where(
            eval_answers.c.tenant_id == tenant_id,
            eval_answers.c.key.in_(keys[start : start + _MOST_KEYS]),
        )
        for key, answer in await conn.execute(statement):
            found[key] = msgspec.convert(answer, Answer)
    return found


async def put_answers(
    conn: Connection, tenant_id: str, samples: Sequence[KeptSample], now: datetime
) -> None:
    """Keep the answers of samples under their keys; the first one stays."""
    for kept in samples:
        statement = upsert(conn, eval_answers).values(
            tenant_id=tenant_id,
            key=kept.key,
            example_hash=kept.sample.example_hash,
            answer=msgspec.to_builtins(kept.sample.answer),
            created_at=now,
        )
        await conn.execute(statement.on_conflict_do_nothing())


async def delete_answers(conn: Connection, tenant_id: str, before: datetime) -> int:
    """Forget answers that were kept before a moment; return how many."""
    statement = delete(eval_answers).where(
        eval_answers.c.tenant_id == tenant_id, eval_answers.c.created_at < before
    )
    return (await conn.execute(statement)).rowcount


def _told(head: RunHead) -> dict[str, Any]:
    """Return the columns that a head fills."""
    return {
        "head": msgspec.to_builtins(head),
        "git_sha": head.git_sha,
        "config_hash": head.config_hash,
        "dataset": head.dataset,
        "dataset_digest": head.dataset_digest,
    }


def _run(row: Any) -> StoredRun:
    values = {str(name): value for name, value in row.items()}
    values["head"] = msgspec.convert(values["head"], RunHead)
    return StoredRun(**values)
