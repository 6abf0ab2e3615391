"""A report for people: what may be said of it, and what may not."""

from __future__ import annotations

from collections.abc import Iterator

from santral.review.report.report import Report


def said_of(report: Report) -> Iterator[str]:
    """Yield sentences: what was looked at, what rates stand for, what is missing from them."""
    states, progress = report.states, report.progress
    done, total = states.get("done", 0), sum(states.values())
    yield (
        f"{total} items: {done} done, {states.get('open', 0)} open, "
        f"{states.get('disputed', 0)} disputed, {states.get('skipped', 0)} set aside; "
        f"{report.gold} gold."
    )
    yield f"{progress.seen} requests were looked at, {progress.taken} taken."
    if progress.over_cap:
        yield (
            f"{progress.over_cap} more were over the daily cap: rates miss them. "
            "Raise the cap, or lower the probabilities."
        )
    if progress.without_payload:
        yield f"{progress.without_payload} more could not be judged: nothing was kept of them."
    yield (
        "Rates are of all traffic, weighted by how likely each item came in."
        if report.covers_all
        else "Rates are of what the rules mean, not of all traffic: a rule of kind random over every "
        "route would make them so."
    )
    if total > done:
        yield "They hold as long as items that are not done are like those that are."
    yield f"{len(report.disputes)} disagreements are named in the report as JSON."


def label_rows(report: Report) -> list[tuple[str, ...]]:
    """Return a row for each value of each label."""
    return [
        (
            label.name,
            value or "mean",
            str(rate.n if not value else label.counts.get(value, 0)),
            f"{rate.value:.1%}" if value else f"{rate.value:.2f}",
            f"{rate.interval.low:.1%} to {rate.interval.high:.1%}"
            if value
            else f"{rate.interval.low:.2f} to {rate.interval.high:.2f}",
        )
        for label in report.labels
        for value, rate in label.rates.items()
    ]


def rater_rows(report: Report) -> list[tuple[str, ...]]:
    """Return a row for each rater."""
    return [
        (
            one.rater,
            str(one.done),
            str(one.skipped),
            f"{one.median_s:.0f}",
            _gold(one.accuracy.right, one.accuracy.n, one.is_paused) if one.accuracy else "-",
            ", ".join(
                f"{name} {found.value:.2f}"
                for name, found in one.agreement.items()
                if found.value is not None
            )
            or "-",
        )
        for one in report.raters
    ]


def _gold(right: int, n: int, is_paused: bool) -> str:
    return f"{right} of {n}{', paused' if is_paused else ''}"
