"""How often answers were scored and how well, always beside how many could have been."""

from __future__ import annotations

from msgspec import Struct

from santral.statistics.interval import Interval, wilson
from santral.traces.scores.store import Part, RateFilters, RateRow
from santral.traces.store import TraceStore
from santral.traces.whose import Whose


class Rate(Struct, frozen=True, kw_only=True):
    """The scores of one name on the answers of one part."""

    part: str  # a route, a prompt with its version, a variant; empty: all
    name: str
    source: str
    evaluator_version: str
    responses: int  # answers that could have been scored
    rated: int  # of them: those that were
    response_rate: float | None
    values: int  # scores that have a value; an answer may have several raters
    mean: float | None
    share_positive: float | None  # of values, above zero
    interval: Interval | None  # of that share, by Wilson


class FeedbackRates(Struct, frozen=True, kw_only=True):
    """The scores of a window; ``responses`` says how many answers each part gave, rated or not."""

    since_us: int
    until_us: int
    by: Part
    responses: dict[str, int]
    rates: list[Rate]


async def feedback_rates(
    store: TraceStore, whose: Whose, filters: RateFilters, by: Part = ""
) -> FeedbackRates:
    """Return the scores on answers that began in a window, by prompt version, variant or route."""
    return FeedbackRates(
        since_us=filters.since_us,
        until_us=filters.until_us,
        by=by,
        responses=await store.responses(whose, filters, by),
        rates=[_rate(row) for row in await store.score_rates(whose, filters, by)],
    )


def _rate(row: RateRow) -> Rate:
    has_values = row.valued > 0
    return Rate(
        part=row.part,
        name=row.name,
        source=row.source,
        evaluator_version=row.evaluator_version,
        responses=row.responses,
        rated=row.rated,
        response_rate=row.rated / row.responses if row.responses else None,
        values=row.valued,
        mean=row.total / row.valued if has_values else None,
        share_positive=row.positive / row.valued if has_values else None,
        interval=wilson(row.positive, row.valued) if has_values else None,
    )
