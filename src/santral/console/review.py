"""Pages of human review: queues, rating one item at a time, adjudication, and what it came to."""

from __future__ import annotations

from typing import get_args
from urllib.parse import urlencode

import numpy as np
from fastapi import Response

from santral.console.form import Form
from santral.console.frame import Frame, Visit
from santral.console.pick import pick_tenant, tenant_choices
from santral.db.engine import reading
from santral.errors import BadRequest, RequestError
from santral.review import store
from santral.review.add import send_trace
from santral.review.content import opened
from santral.review.held import VERBS, Decided, Verb, decide_held
from santral.review.item import ItemState
from santral.review.known import QueueLine, known_item, known_queue, list_queues, show_queue
from santral.review.label import LabelKind
from santral.review.queue import Queue
from santral.review.rating.submit import adjudicate, require_adjudicator, skip, submit
from santral.review.rating.take import Taken, renew, take_next
from santral.review.report.report import report_of
from santral.review.seat import Seat
from santral.tenants.tenant import TenantId
from santral.traces.store import TraceStore

#: States of items and kinds of labels, as badges and words name them.
ITEM_STATES: tuple[ItemState, ...] = get_args(ItemState)
LABEL_KINDS: tuple[LabelKind, ...] = get_args(LabelKind)
#: What stands before a label's name in a form.
_FIELD = "label."
#: Disputed items of one page. Chosen.
_PAGE = 50


class ReviewPages:
    """The pages over queues; ``seat`` is where people rate."""

    def __init__(self, frame: Frame, seat: Seat, traces: TraceStore) -> None:
        self._seat = seat
        self._traces = traces
        frame.show("/review", self.list)
        frame.show("/review/rate", self.rate)
        frame.act("/review/rate", self.submit, self.rate)
        frame.act("/review/skip", self.skip, self.rate)
        frame.act("/review/renew", self.renew)
        frame.show("/review/adjudicate", self.disputed)
        frame.act("/review/adjudicate", self.decide, self.disputed)
        frame.show("/review/report", self.report)
        frame.show("/review/send", self.choose_queue)
        frame.act("/review/send", self.send, self.choose_queue)

    async def list(self, visit: Visit) -> Response:
        """The queues of one tenant, and how far each is."""
        choices = await tenant_choices(visit, "review.read")
        tenant = pick_tenant(visit, choices, "review.read")
        lines = await list_queues(visit.engine, tenant, by=visit.principal)
        return visit.page(
            "reviews.html",
            choices=choices,
            tenant=tenant,
            lines=[(line, _named(line.queue)) for line in lines],
            may_rate=visit.principal.may("review.rate", tenant),
            may_keep=visit.principal.may("review.write", tenant),
        )

    async def rate(self, visit: Visit) -> Response:
        """The item that this rater holds, or the next one: to open the page is to take it."""
        line = await _line(visit)
        taken: Taken | None = None
        try:
            taken = await take_next(
                visit.engine, self._seat.sealer, line.queue.tenant_id, line.queue.name, visit.now,
                by=visit.principal, chance=self._seat.chance,
            )  # fmt: skip
        except RequestError as error:
            visit.trouble = visit.trouble or error
        return visit.page(
            "review_rate.html",
            line=line,
            labels=line.queue.settings.labels,
            here=_named(line.queue),
            taken=taken,
            places=_places(taken),
            verbs=VERBS,
        )

    async def submit(self, visit: Visit) -> Response:
        """Keep what a rater says, and go on to the next item."""
        queue, form = (await _line(visit)).queue, visit.form
        item_id, labels = form("item"), _labels(queue, form)
        if verb := form("decision"):
            decided = Decided(
                verb=_verb(verb), replacement=form("replacement"), reason=form("reason")
            )
            await decide_held(
                self._seat, queue.tenant_id, queue.name, item_id, decided, labels, visit.now,
                by=visit.principal,
            )  # fmt: skip
        else:
            await submit(
                visit.engine, queue.tenant_id, queue.name, item_id, labels, visit.now,
                by=visit.principal, comment=form("comment"), seconds=_seconds(form),
            )  # fmt: skip
        return visit.done("done_rated", "/review/rate", tenant=queue.tenant_id, name=queue.name)

    async def skip(self, visit: Visit) -> Response:
        """Give an item back, and go on to the next one."""
        queue = (await _line(visit)).queue
        await skip(
            visit.engine, queue.tenant_id, queue.name, visit.form("item"), visit.form("reason"),
            visit.now, by=visit.principal,
        )  # fmt: skip
        return visit.done(
            "done_given_back", "/review/rate", tenant=queue.tenant_id, name=queue.name
        )

    async def renew(self, visit: Visit) -> Response:
        """Hold the item for longer: a page that is looked at asks for it by itself."""
        queue = (await _line(visit)).queue
        await renew(
            visit.engine, queue.tenant_id, queue.name, visit.form("item"), visit.now,
            by=visit.principal,
        )  # fmt: skip
        return Response(status_code=204)

    async def disputed(self, visit: Visit) -> Response:
        """Items on which raters disagree, and one of them with what each said."""
        tenant, name = _asked(visit)
        async with reading(visit.engine) as conn:
            queue = await known_queue(conn, tenant, name, "review.read", by=visit.principal)
            require_adjudicator(queue, visit.principal)
            items = await store.list_items(conn, queue.tenant_id, name, ("disputed",), limit=_PAGE)
            wanted = visit.asked("item") or visit.form("item")
            item = await known_item(conn, queue, wanted) if wanted else None
            if item is None or item.state != "disputed":  # an open one is rated blind, also by us
                item = next(iter(items), None)
            tasks = await store.tasks_of(conn, queue.tenant_id, item.id) if item else []
        return visit.page(
            "review_adjudicate.html",
            queue=queue,
            here=_named(queue),
            items=items,
            item=item,
            said=[task for task in tasks if task.slot > 0 and task.state == "done"],
            shown=await opened(self._seat.sealer, item) if item else None,
            labels=queue.settings.labels,
        )

    async def decide(self, visit: Visit) -> Response:
        """Keep what a third person decides."""
        tenant, name = _asked(visit)
        line = await show_queue(visit.engine, tenant, name, by=visit.principal)
        await adjudicate(
            visit.engine, tenant, name, visit.form("item"), _labels(line.queue, visit.form),
            visit.form("reason"), visit.now, by=visit.principal,
        )  # fmt: skip
        return visit.done("done_decided", "/review/adjudicate", tenant=tenant, name=name)

    async def report(self, visit: Visit) -> Response:
        """Rates with intervals, agreement, raters, and items on which they disagree."""
        tenant, name = _asked(visit)
        made = await report_of(
            visit.engine, tenant, name, by=visit.principal, rng=np.random.default_rng(0)
        )
        here = urlencode({"tenant": tenant, "name": name})
        return visit.page("review_report.html", report=made, here=here, tenant=tenant)

    async def choose_queue(self, visit: Visit) -> Response:
        """Into which queue a trace goes."""
        tenant = visit.asked("tenant") or visit.form("tenant")
        visit.principal.require("review.write", TenantId(tenant))
        lines = await list_queues(visit.engine, tenant, by=visit.principal)
        return visit.page(
            "review_send.html",
            tenant=tenant,
            trace_id=visit.asked("trace") or visit.form("trace"),
            queues=[one.queue.name for one in lines if one.queue.settings.mode == "single"],
        )

    async def send(self, visit: Visit) -> Response:
        """Put a trace into a queue."""
        tenant, trace_id = visit.form("tenant"), visit.form("trace")
        visit.principal.require("review.write", TenantId(tenant))
        await send_trace(
            visit.engine, self._traces, tenant, visit.form("queue"), trace_id, visit.now,
            by=visit.principal, reason=visit.form("reason"),
        )  # fmt: skip
        return visit.done("done_sent", f"/traces/{trace_id}")


async def _line(visit: Visit) -> QueueLine:
    tenant, name = _asked(visit)
    return await show_queue(visit.engine, tenant, name, by=visit.principal)


def _asked(visit: Visit) -> tuple[str, str]:
    return (
        visit.asked("tenant") or visit.form("tenant"),
        visit.asked("name") or visit.form("name"),
    )


def _named(queue: Queue) -> str:
    return urlencode({"tenant": queue.tenant_id, "name": queue.name})


def _labels(queue: Queue, form: Form) -> dict[str, object]:
    """Return the labels of a form; what was left out stays out."""
    given = {label.name: form(_FIELD + label.name) for label in queue.settings.labels}
    return {name: value for name, value in given.items() if value}


def _places(taken: Taken | None) -> tuple[str, ...]:
    """Return what the answers are called: one has no name."""
    return ("first", "second") if taken and len(taken.shown.answers) > 1 else ("",)


def _verb(text: str) -> Verb:
    for verb in VERBS:
        if verb == text:
            return verb
    raise BadRequest(f"Choose one of: {', '.join(VERBS)}.", param="decision")


def _seconds(form: Form) -> float:
    return form.number("seconds") or 0.0
