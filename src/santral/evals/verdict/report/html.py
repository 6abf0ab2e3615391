"""A comparison as a page that needs nothing else: no script, no network, for an artefact or a mail."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from santral.evals.verdict.amount import amount, size
from santral.evals.verdict.comparison import Comparison, MeasureChange
from santral.evals.verdict.report import words

#: Width of the picture of an interval, in its own units.
_WIDTH = 120.0


def as_html(comparisons: Sequence[Comparison]) -> str:
    """Return the page."""
    return _template().render(
        comparisons=comparisons,
        outcome=words.worst_outcome(comparisons),
        suite=words.readable(comparisons[0].head.suite, 200) if comparisons else "",
        amount=amount,
        size=size,
        picture=picture,
        words=words,
    )


def picture(one: MeasureChange) -> dict[str, float] | None:
    """Return where an interval, its middle, zero and the margin lie in a picture of it."""
    if one.difference is None or one.low is None or one.high is None:
        return None
    margin = one.margin or 0.0
    reach = 1.15 * max(abs(one.low), abs(one.high), margin) or 1.0

    def at(value: float) -> float:
        return round(_WIDTH / 2 * (1 + value / reach), 1)

    worse = margin if one.measure.direction == "lower" else -margin
    return {
        "low": at(one.low),
        "high": at(one.high),
        "middle": at(one.difference),
        "zero": at(0.0),
        "margin": at(worse),
        "width": _WIDTH,
    }


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("santral.evals.verdict.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")
