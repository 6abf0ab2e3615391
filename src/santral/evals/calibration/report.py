"""A calibration in words and rows, for people."""

from __future__ import annotations

from collections.abc import Sequence

from santral.evals.progress import usd
from santral.evals.standing import Agreed, Standing


def rows_of(standing: Standing) -> list[tuple[str, str]]:
    """Return what was measured, each with its value in words."""
    found = [(one.method, _agreed(one)) for one in standing.agreement]
    found += [(f"between people: {one.method}", _agreed(one)) for one in standing.humans]
    found += [
        ("passes what people pass", _share(standing.sensitivity, standing.positives)),
        ("fails what people fail", _share(standing.specificity, standing.negatives)),
        ("says the same when asked again", _share(standing.repeat_rate, standing.examples)),
        ("changes its mind with the order", _share(standing.flip_rate, standing.examples)),
        ("takes what is shown first", _share(standing.first_rate, 0)),
        ("ties", _share(standing.tie_rate, standing.examples)),
        ("judgements without a value", _errors(standing)),
        ("cost of a judgement", _cost(standing.cost_nanousd)),
    ]
    return [(name, value) for name, value in found if value]


def cells(standing: Standing) -> Sequence[str]:
    """Return a row of a list of judges."""
    first = standing.agreement[0] if standing.agreement else None
    return (
        standing.judge,
        standing.kind,
        ", ".join(standing.models),
        "yes" if standing.may_gate else "no",
        _agreed(first) if first else "undefined",
        str(standing.examples),
        standing.at,
        standing.digest[:12],
    )


def _agreed(one: Agreed) -> str:
    if one.value is None:
        return f"undefined ({one.percent:.0%} the same, n = {one.n})"
    ends = (
        f" ({one.low:.2f} to {one.high:.2f})"
        if one.low is not None and one.high is not None
        else ""
    )
    return f"{one.value:.2f}{ends}, {one.percent:.0%} the same, n = {one.n}"


def _share(value: float | None, n: int) -> str:
    if value is None:
        return ""
    return f"{value:.0%} of {n}" if n else f"{value:.0%}"


def _errors(standing: Standing) -> str:
    return ", ".join(f"{count} {error}" for error, count in sorted(standing.errors.items()))


def _cost(nanousd: int | None) -> str:
    return "unknown" if nanousd is None else f"${usd(nanousd)}"
