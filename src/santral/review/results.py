"""What review is good for elsewhere: examples of a data set, labels for a judge, pairs to train on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import Struct

from santral.audit.note import note
from santral.db.engine import Engine, reading, writing
from santral.errors import BadRequest, nearest
from santral.evals.datasets.change import add_examples
from santral.evals.datasets.dataset import Changed, Provenance
from santral.evals.example import Example, Plain
from santral.review import store
from santral.review.content import opened
from santral.review.item import ADJUDICATOR, Item, Shown, Task
from santral.review.known import known_queue
from santral.review.queue import Queue
from santral.secrets.sealer import Sealer
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId

Form: TypeAlias = Literal["examples", "judged", "pairs", "labels"]
FORMS: tuple[Form, ...] = get_args(Form)

#: The text label whose words are a better answer.
CORRECTION = "correction"
#: Items that are read at once. Chosen.
_BATCH = 500


class Judged(Struct, frozen=True, kw_only=True):
    """A closed item with all that is known of it."""

    item: Item
    shown: Shown
    tasks: Sequence[Task]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation as chat/completions has it."""
        return [{"role": one.role, "content": one.text} for one in self.shown.said]

    @property
    def correction(self) -> str:
        """The better answer that somebody wrote: the adjudicator's, else the last rater's."""
        for task in sorted(self.tasks, key=lambda one: (one.slot != ADJUDICATOR, -one.slot)):
            text = (task.labels or {}).get(CORRECTION)
            if text:
                return str(text)
        return ""


async def judged_items(
    engine: Engine, sealer: Sealer | None, tenant: str, name: str, *, by: Principal
) -> tuple[Queue, list[Judged]]:
    """Return the closed items of a queue with what was said of them, gold left out.

    Raises:
        NotFound: no such queue.
        NotAllowed: no role that may write it, or that may read what was said.
    """
    by.require("payloads.read", TenantId(tenant))
    async with reading(engine) as conn:
        queue = await known_queue(conn, tenant, name, "review.write", by=by)
        tasks = await store.tasks_of_queue(conn, queue.tenant_id, name)
        items: list[Item] = []
        after = None
        while True:
            some = await store.list_items(
                conn, queue.tenant_id, name, ("done",), after=after, limit=_BATCH
            )
            items += [item for item in some if item.gold is None]
            if len(some) < _BATCH:
                break
            after = (some[-1].created_at, some[-1].id)
    return queue, [
        Judged(item=item, shown=await opened(sealer, item), tasks=tasks.get(item.id, []))
        for item in items
    ]


async def export(
    engine: Engine, sealer: Sealer | None, tenant: str, name: str, form: str, *, by: Principal
) -> list[dict[str, Any]]:
    """Return rows of JSON: ``examples`` of a data set, ``judged`` ones with the answer and every
    rater's labels for the calibration of a judge, preference ``pairs``, or plain ``labels``.

    Raises:
        BadRequest: there is no such form.
        NotFound, NotAllowed: as :func:`judged_items`.
    """
    if form not in FORMS:
        raise BadRequest(
            f"There is no form '{form[:32]}'.{nearest(form[:32], FORMS)} Forms: {', '.join(FORMS)}.",
            param="form",
        )
    queue, found = await judged_items(engine, sealer, tenant, name, by=by)
    rows = [row for one in found for row in _rows(queue, one, form)]
    async with writing(engine) as conn:
        await note(
            conn, by.actor, "review.export", f"queue:{name}",
            tenant_id=queue.tenant_id, after={"form": form, "rows": len(rows)},
        )  # fmt: skip
    return rows


async def add_to_dataset(
    engine: Engine,
    sealer: Sealer | None,
    tenant: str,
    name: str,
    dataset: str,
    now: datetime,
    *,
    by: Principal,
    form: Literal["examples", "judged"] = "examples",
) -> Changed:
    """Put the closed items of a queue into a data set, each with where it comes from.

    Raises:
        NotFound: no such queue or data set.
        NotAllowed: no role that may write both.
    """
    queue, found = await judged_items(engine, sealer, tenant, name, by=by)
    make = _example if form == "examples" else _judged
    sourced = [
        (make(queue, one), _provenance(one.item)) for one in found if len(one.shown.answers) == 1
    ]
    return await add_examples(engine, tenant, dataset, sourced, now, by=by)


def _rows(queue: Queue, one: Judged, form: str) -> Iterator[dict[str, Any]]:
    if form == "labels":
        yield from _labels(one)
    elif form == "pairs":
        yield from _pairs(queue, one)
    elif len(one.shown.answers) == 1:
        yield msgspec.to_builtins((_example if form == "examples" else _judged)(queue, one))


def _example(queue: Queue, one: Judged) -> Example:
    """Return an item as an example. A correction is its good answer; else the answer itself, where
    every label that can be yes or no says yes."""
    outcome = one.item.outcome or {}
    binary = [label.name for label in queue.settings.labels if label.kind == "binary"]
    is_good = bool(binary) and all(outcome.get(name) == 1 for name in binary)
    return Example(
        id=one.item.id,
        input=one.messages,
        expected=one.correction or (one.shown.answers[0] if is_good else None),
        metadata={**_plain(outcome), "queue": queue.name},
    )


def _judged(queue: Queue, one: Judged) -> Example:
    """Return an item as a judge is measured on it: ``answer`` and the labels of people are metadata,
    ``LABEL`` what they agreed on, ``LABEL.1``, ``LABEL.2`` what each said."""
    raters = [task for task in one.tasks if task.slot > ADJUDICATOR and task.state == "done"]
    each: dict[str, Plain] = {
        f"{name}.{number}": value
        for number, task in enumerate(raters, 1)
        for name, value in (task.labels or {}).items()
    }
    example = _example(queue, one)
    known: dict[str, Plain] = {
        **example.metadata, **each, "answer": one.shown.answers[0], "humans": len(raters),
        "probability": one.item.probability,
    }  # fmt: skip
    return msgspec.structs.replace(example, metadata=known)


def _pairs(queue: Queue, one: Judged) -> Iterator[dict[str, Any]]:
    """Yield a preferred and a rejected answer, as trainers of preferences read them (DPO)."""
    preferences = [label.name for label in queue.settings.labels if label.kind == "preference"]
    answers = one.shown.answers
    chosen = (one.item.outcome or {}).get(preferences[0]) if preferences else None
    if chosen in ("a", "b") and len(answers) == 2:
        first = 0 if chosen == "a" else 1
        yield _pair(one, answers[first], answers[1 - first])
    elif one.correction and answers and one.correction != answers[0]:
        yield _pair(one, one.correction, answers[0])


def _pair(one: Judged, chosen: str, rejected: str) -> dict[str, Any]:
    return {
        "prompt": one.messages,
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        "source": one.item.id,
    }


def _labels(one: Judged) -> Iterator[dict[str, Any]]:
    for task in one.tasks:
        if task.state == "done":
            yield {
                "item": one.item.id,
                "trace_id": one.item.trace_id,
                "rater": task.rater,
                "is_adjudicator": task.slot == ADJUDICATOR,
                "labels": task.labels,
                "comment": task.comment,
                "seconds": task.seconds,
                "probability": one.item.probability,
            }


def _provenance(item: Item) -> Provenance:
    is_session = item.subject.startswith("session:")
    return Provenance(
        origin="review",
        source=item.id,
        user="" if is_session else item.subject,
        session=item.subject.removeprefix("session:") if is_session else "",
    )


def _plain(outcome: dict[str, Any]) -> dict[str, Plain]:
    return {name: value for name, value in outcome.items() if value is not None}
