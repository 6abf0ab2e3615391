"""Examples from traces: what people asked, with where it comes from.

What is taken is what the tenant's policy kept: masked where it masks, nothing where it keeps nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec
from msgspec import Struct

from santral.db.engine import Engine
from santral.errors import BadRequest
from santral.evals.datasets.change import Sourced, add_examples
from santral.evals.datasets.dataset import Changed, Provenance
from santral.evals.datasets.shape import checked
from santral.evals.example import Example, Plain
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId
from santral.traces.question import FoundTrace, TracePage

#: Traces that one call takes. Chosen: each is opened by itself.
MOST_TRACES = 5_000
_PEOPLE = frozenset({"user", "assistant", "tool"})

#: Returns a page of a list of traces, after a cursor.
ListTraces = Callable[[str], Awaitable[TracePage]]
#: Returns one trace with what was said, as far as it was kept and may be read.
GetTrace = Callable[[str], Awaitable[FoundTrace]]


class Taken(Struct, frozen=True):
    """What came of it: examples by what became of them, and traces left out by why."""

    changed: Changed
    left_out: dict[str, int]


class Wanted(Struct, frozen=True, kw_only=True):
    """Which of the traces that are listed become examples."""

    filters: dict[str, str] = {}  # field of the trace, tag.NAME or score.NAME, to its value
    with_answer: bool = False  # the answer that was given becomes what is expected
    limit: int = 200

    def takes(self, found: FoundTrace) -> bool:
        """Whether a trace meets every filter: equal, or at least or at most a number (>=, <=)."""
        return all(_meets(_field(found, name), value) for name, value in self.filters.items())


async def add_traces(
    engine: Engine,
    tenant: str,
    name: str,
    list_traces: ListTraces,
    get_trace: GetTrace,
    wanted: Wanted,
    now: datetime,
    *,
    by: Principal,
) -> Taken:
    """Add an example for each trace that is wanted, the newest first; a trace is one example for good.

    Raises:
        NotFound: no such tenant or data set.
        NotAllowed: no role that may write data sets and read what was said there.
        BadRequest: a filter names nothing.
    """
    by.require("payloads.read", TenantId(tenant))
    by.require("datasets.write", TenantId(tenant))
    made: list[Sourced] = []
    left_out: Counter[str] = Counter()
    cursor = ""
    most = min(wanted.limit, MOST_TRACES)
    while len(made) < most:
        page = await list_traces(cursor)
        for summary in page.traces:
            if summary.tenant_id != tenant or len(made) >= most:
                continue
            found = await get_trace(summary.trace_id)
            example, why = example_of_trace(found, wanted)
            if example is None:
                left_out[why] += 1
            else:
                made.append(example)
        if page.next is None:
            break
        cursor = page.next
    changed = await add_examples(
        engine, tenant, name, made, now, by=by, on_existing="keep", act="add_traces"
    )
    return Taken(changed, dict(left_out))


def example_of_trace(found: FoundTrace, wanted: Wanted) -> tuple[Sourced | None, str]:
    """Return what a trace becomes, or why it becomes nothing."""
    trace = found.trace
    if not wanted.takes(found):
        return None, "a filter"
    if trace.payload is None:
        return None, "what was said was not kept"
    if trace.payload.is_sealed:
        return None, "what was said cannot be opened"
    said = _messages(trace.payload.request)
    if not said:
        return None, "no messages"
    metadata: dict[str, Plain] = {
        name: value
        for name, value in (
            ("route", trace.route),
            ("model", trace.model),
            ("prompt", trace.prompt),
            ("prompt_version", trace.prompt_version),
        )
        if value
    }
    metadata |= {score.name: score.value for score in found.scores if score.value is not None}
    example = Example(
        id=f"tr_{trace.trace_id}",
        input=said,
        expected=trace.payload.response or None if wanted.with_answer else None,
        metadata=metadata,
        cluster=f"session:{trace.session}"[:128] if trace.session else "",
    )
    try:
        checked(example)
    except BadRequest as error:
        return None, error.message
    origin = Provenance(
        origin="trace", source=trace.trace_id, user=trace.user, session=trace.session
    )
    return (example, origin), ""


def _messages(request: str) -> str | list[dict[str, Any]]:
    """Return what was asked: one text where there is a single question, else the messages.

    What the route said for itself (system messages, passages in them) is left out: whoever answers the
    example says its own.
    """
    try:
        said: Any = msgspec.json.decode(request)
    except msgspec.DecodeError:
        return request
    if isinstance(said, str):
        return said
    if not isinstance(said, list):
        return []
    objects = [cast("dict[str, Any]", o) for o in cast("list[Any]", said) if isinstance(o, dict)]
    messages = [one for one in objects if one.get("role") in _PEOPLE]
    if len(messages) == 1 and isinstance(messages[0].get("content"), str):
        return messages[0]["content"]
    return messages


def _field(found: FoundTrace, name: str) -> str | float | None:
    kind, dot, key = name.partition(".")
    if kind == "tag" and dot:
        return found.trace.tags.get(key)
    if kind == "score" and dot:
        return _score(found, key)
    if name not in found.trace.__struct_fields__:
        raise BadRequest(
            f"There is no field '{name}' in a trace. Filter by one such as user, session, model, "
            "prompt, or by tag.NAME or score.NAME.",
            param="filter",
        )
    value = getattr(found.trace, name)
    return value if isinstance(value, str | int | float | None) else str(value)


def _score(found: FoundTrace, name: str) -> str | float | None:
    for score in found.scores:
        if score.name == name:
            return score.label or score.value
    return None


def _meets(value: str | float | None, wanted: str) -> bool:
    if wanted[:2] not in (">=", "<="):
        return value is not None and str(value) == wanted
    try:
        number, limit = float(str(value)), float(wanted[2:])
    except ValueError:
        return False
    return number >= limit if wanted[0] == ">" else number <= limit


def parse_filters(given: Sequence[str]) -> dict[str, str]:
    """Return filters from texts such as ``user=u-17``, ``score.thumbs<=0``.

    Raises:
        BadRequest: one that is no filter.
    """
    filters: dict[str, str] = {}
    for text in given:
        for sign in (">=", "<=", "="):
            name, found, value = text.partition(sign)
            if found and name:
                filters[name] = ("" if sign == "=" else sign) + value
                break
        else:
            raise BadRequest(f"'{text}' is no filter. Write FIELD=VALUE, or score.NAME<=0.")
    return filters
