"""Which rules of a queue mean a trace, and which of them take it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from santral.review.looking.store import Given, Line
from santral.review.queue import Settings
from santral.review.rule import OF_SCORES, Rule, combined, is_drawn

#: The score of a thumb; up is above zero. Source: santral/feedback.
_THUMBS = "thumbs"
#: What says that a model refused. Source: the check ``refusal``, and OpenAI's finish reason.
_REFUSAL, _FILTERED = "refusal", "content_filter"


class Match(Struct, frozen=True, kw_only=True):
    """What the rules of a queue say of a trace."""

    rules: dict[str, float]  # those that mean it, with the probability of each
    is_taken: bool
    rule: str = ""  # the first that took it

    @property
    def probability(self) -> float:
        """With which it came in: that at least one of the rules took it."""
        return combined(self.rules.values())


def match(
    settings: Settings,
    line: Line,
    found: Collection[str],
    scores: Sequence[Given],
    *,
    is_exemplar: bool = False,
) -> Match:
    """Return what a queue's rules say of one trace."""
    meant = [
        rule
        for rule in settings.rules
        if rule.route in ("", line.route) and _means(rule, line, found, scores, is_exemplar)
    ]
    drawn = [rule for rule in meant if is_drawn(settings.salt, rule, line.trace_id)]
    return Match(
        rules={rule.key: rule.probability for rule in meant},
        is_taken=bool(drawn),
        rule=drawn[0].key if drawn else "",
    )


def _means(
    rule: Rule, line: Line, found: Collection[str], scores: Sequence[Given], is_exemplar: bool
) -> bool:
    if rule.kind in OF_SCORES:
        return _means_by_scores(rule, found, scores)
    return {
        "random": True,
        "found": rule.check in found,
        "refusal": _REFUSAL in found or line.finish_reason == _FILTERED,
        "drift_exemplar": is_exemplar,
    }.get(rule.kind, False)


def _means_by_scores(rule: Rule, found: Collection[str], scores: Sequence[Given]) -> bool:
    if rule.kind == "thumbs_down":
        return any(s.source == "user" and s.name == _THUMBS and s.value <= 0 for s in scores)
    named = [score for score in scores if score.name == rule.score]
    if rule.kind == "low_confidence":
        return rule.score in found or any(score.value < rule.below for score in named)
    judged = [score.value >= rule.below for score in named if score.source == "judge"]
    return any(is_good == (rule.check in found) for is_good in judged)
