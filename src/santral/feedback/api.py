"""``/api/feedback``: what was said of answers, as rates and one by one."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from santral.errors import BadRequest
from santral.feedback.rates import feedback_rates
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import TenantId
from santral.traces.api import Window
from santral.traces.question import MAX_LIMIT, visible_to
from santral.traces.scores.score import shown
from santral.traces.scores.store import RateFilters
from santral.traces.store import TraceStore

_CURSOR = re.compile(r"(\d{1,18})-([0-9a-f]{1,64})")


class RatesQuery(Window):
    """Which answers, and how to tell them apart."""

    prompt: str = Field("", max_length=128, description="Only answers with this prompt.")
    variant: str = Field("", max_length=128, description="Only this variant of an experiment.")
    name: str = Field("", max_length=64, description="Only this score, such as thumbs.")
    by: Literal["", "route", "prompt", "variant"] = Field(
        "", description="Apart by route, prompt version or variant; default all together."
    )


class ScoresQuery(Window):
    """Which scores to list."""

    name: str = Field("", max_length=64, description="Only this score, such as thumbs.")
    source: str = Field(
        "", max_length=16, description="Only user, implicit, reviewer, judge, code."
    )
    before: str = Field("", max_length=96, description="The field next of the page before.")
    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="Longest page.")


def feedback_router(store: TraceStore, authorise: Authorise) -> APIRouter:
    """Return the endpoints; ``authorise`` makes the dependency that says who administers."""
    router = APIRouter(prefix="/api/feedback", tags=["feedback"])
    reader: Any = Depends(authorise("traces.read"))

    @router.get("")
    async def get_rates(query: Annotated[RatesQuery, Query()], by: Principal = reader) -> Response:
        """Return scores as rates: how many answers could have been scored, were, and how well.

        The share of positive values carries its 95 % interval by Wilson.
        """
        window = query.filters(store.clock())
        filters = RateFilters(
            since_us=window.since_us,
            until_us=window.until_us,
            route=query.route,
            prompt=query.prompt,
            variant=query.variant,
            name=query.name,
        )
        whose = visible_to(by, query.tenant)
        return _json(await feedback_rates(store, whose, filters, query.by))

    @router.get("/scores")
    async def list_scores(
        query: Annotated[ScoresQuery, Query()], by: Principal = reader
    ) -> Response:
        """List scores in force, newest first; comments for roles that may read payloads."""
        window = query.filters(store.clock())
        found = await store.list_scores(
            visible_to(by, query.tenant),
            (window.since_us, window.until_us),
            name=query.name,
            source=query.source,
            before=_cursor(query.before),
            limit=query.limit + 1,
        )
        page = found[: query.limit]
        more = f"{page[-1].at_us}-{page[-1].id}" if len(found) > query.limit else None
        scores = [
            shown(one, with_words=by.may("payloads.read", TenantId(one.tenant_id))) for one in page
        ]
        return _json({"scores": scores, "next": more})

    del get_rates, list_scores  # the router holds them
    return router


def _cursor(text: str) -> tuple[int, str] | None:
    if not text:
        return None
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise BadRequest(
            "before is no cursor of this list. Take it from the field next of a page.",
            param="before",
        )
    return int(found[1]), found[2]


def _json(answer: object) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
