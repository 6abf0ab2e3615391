"""A sample of one window, payloads opened where they are kept and may be."""

from __future__ import annotations

from typing import Any

import msgspec

from santral.evals.drift.requests import store
from santral.evals.drift.requests.seen import Seen
from santral.traces.record import Payload
from santral.traces.sealed import open_payload
from santral.traces.store import TraceStore

#: Requests of one window that are compared. Measured: 499 permutations of two such windows take some
#: seconds; more change p-values in the third digit.
MOST = 2_000
#: Characters of a text that are looked at. Chosen: a page; what a text is about shows before.
_MOST_TEXT = 4_000


async def sample_of(
    traces: TraceStore,
    tenant_id: str,
    since_us: int,
    until_us: int,
    *,
    route: str = "",
    prompt: str = "",
    limit: int = MOST,
) -> list[Seen]:
    """Return up to ``limit`` requests of a window, chosen by a hash of their trace."""

    def ask(cursor: Any) -> tuple[list[tuple[Any, ...]], list[tuple[str, str, float]]]:
        rows = store.sample(cursor, tenant_id, since_us, until_us, route, prompt, limit)
        return rows, store.scores(cursor, tenant_id, since_us, [row[1] for row in rows])

    rows, given = await traces.ask(ask)
    scores: dict[str, dict[str, float]] = {}
    for trace_id, name, value in given:
        scores.setdefault(trace_id, {})[name] = value
    return [await _seen(traces, tenant_id, row, scores.get(row[1], {})) for row in rows]


async def _seen(
    traces: TraceStore, tenant_id: str, row: tuple[Any, ...], scores: dict[str, float]
) -> Seen:
    question, answer = await _texts(traces, tenant_id, row)
    return Seen(
        trace_id=row[1],
        session=row[3],
        at_us=row[4],
        route=row[5],
        prompt=row[6],
        model=row[7],
        latency_us=row[8],
        ttft_us=row[9],
        cost_nanousd=row[10],
        input_tokens=row[11],
        output_tokens=row[12],
        is_error=bool(row[13]),
        is_cached=bool(row[14]),
        is_refused=bool(row[15]),
        question=question,
        answer=answer,
        scores=scores,
    )


async def _texts(traces: TraceStore, tenant_id: str, row: tuple[Any, ...]) -> tuple[str, str]:
    if row[16] is None:
        return "", ""
    payload = Payload(request=row[16], response=row[17], is_sealed=bool(row[18]))
    if payload.is_sealed:
        if traces.sealer is None:
            return "", ""
        payload = await open_payload((tenant_id, row[1], row[2]), payload, traces.sealer)
    return asked_in(payload.request)[:_MOST_TEXT], payload.response[:_MOST_TEXT]


def asked_in(request: str) -> str:
    """Return the last thing a user said in a kept request; empty where words are not kept."""
    try:
        messages = msgspec.json.decode(request, type=list[dict[str, Any]])
    except msgspec.DecodeError:  # cut at the limit, or a sentence in place of it
        return ""
    said = [m.get("content") for m in messages if m.get("role") == "user"]
    return said[-1] if said and isinstance(said[-1], str) else ""
