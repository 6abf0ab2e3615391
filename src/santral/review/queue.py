"""A queue: what comes in, what raters are asked, and how many of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from santral.errors import BadRequest
from santral.review.label import Label
from santral.review.rule import Rule

Part = Literal["question", "answer", "passages"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
#: Labels of one queue: each has its own keys on one page. Chosen.
_MOST_LABELS, _MOST_RULES, _MOST_RATERS = 12, 20, 200


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a queue works."""

    labels: list[Label]
    rules: list[Rule] = field(default_factory=list[Rule])
    description: str = ""
    mode: Literal["single", "pairwise"] = "single"
    raters_per_item: int = 1
    access: Literal["any", "assigned"] = "any"
    raters: list[str] = field(default_factory=list[str])  # user:usr_…, where access is assigned
    adjudication: Literal["on_disagreement", "never"] = "on_disagreement"
    adjudicators: list[str] = field(default_factory=list[str])  # beside who may write the queue
    beyond: float = 1.0  # how far apart on a scale is no disagreement yet
    lease_minutes: int = 20
    skips: int = 3  # raters who give an item back before it is set aside
    gold_share: float = 0.0  # of what a rater is given
    gold_floor: float = 0.0  # accuracy on gold that a rater must not be surely below
    gold_least: int = 10  # gold items before that is judged
    gold_since: dict[str, str] = field(default_factory=dict[str, str])  # by rater: counted from
    shows: list[Part] = field(default_factory=lambda: ["question", "answer", "passages"])
    daily_cap: int = 200  # items that rules may add in a day
    retention_days: int | None = None  # None: as long as the tenant's traces
    salt: str = ""  # of the choice by probability


class Progress(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far the traces were looked through, and what became of them."""

    n: int = 0  # the last row of the traces
    scores_us: int = 0  # the latest score
    findings_us: int = 0  # the latest finding of a monitor
    since_us: int = 0  # when the queue began to look
    seen: int = 0  # traces that rules could have taken
    taken: int = 0
    without_payload: int = 0  # nothing was kept that a person could judge
    over_cap: int = 0
    day: str = ""  # of the cap
    today: int = 0


class Queue(Struct, frozen=True, kw_only=True):
    """A queue of a tenant."""

    tenant_id: str
    name: str
    settings: Settings
    progress: Progress
    is_paused: bool
    created_by: str
    created_at: datetime

    def label(self, name: str) -> Label | None:
        """Return a label by its name."""
        return next((one for one in self.settings.labels if one.name == name), None)


def checked_name(name: str) -> str:
    """Return a name that a queue may have; raises BadRequest."""
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"A queue cannot be called {name[:64]!r}. Take letters, digits and . _ -, 128 at most, "
            "a letter or digit first.",
            param="name",
        )
    return name


def parse_settings(given: Mapping[str, Any]) -> Settings:
    """Return settings as a queue has them.

    Raises:
        BadRequest: a setting is unknown or means nothing; names it.
    """
    try:
        settings = msgspec.convert(dict(given), Settings)
    except msgspec.ValidationError as error:
        raise BadRequest(f"settings: {error}.", code="bad_setting", param="settings") from None
    for is_wrong, setting, words in _faults(settings):
        if is_wrong:
            raise BadRequest(f"{setting}: {words}", code="bad_setting", param=setting)
    return settings


def _faults(s: Settings) -> list[tuple[bool, str, str]]:
    names = [label.name for label in s.labels]
    return [
        (not 1 <= len(s.labels) <= _MOST_LABELS, "labels", f"give 1 to {_MOST_LABELS} labels."),
        (len(set(names)) < len(names), "labels", "two have one name."),
        (
            any(not _NAME.fullmatch(name) for name in names),
            "labels",
            "names are letters, digits and . _ -",
        ),
        (
            any(one.kind == "category" and len(set(one.choices)) < 2 for one in s.labels),
            "labels",
            "a category needs at least two different choices.",
        ),
        (
            any(
                one.kind == "scale" and not 1 <= one.high - one.low <= _MOST_RULES
                for one in s.labels
            ),
            "labels",
            "a scale goes from low to a higher number, 20 steps at most.",
        ),
        (
            any(one.kind == "preference" for one in s.labels) != (s.mode == "pairwise"),
            "mode",
            "pairwise queues, and only they, have a label of kind preference.",
        ),
        (len(s.rules) > _MOST_RULES, "rules", f"{_MOST_RULES} at most."),
        (
            len({rule.key for rule in s.rules}) < len(s.rules),
            "rules",
            "two are about the same; one of them would never count.",
        ),
        (
            any(not 0 < rule.probability <= 1 for rule in s.rules),
            "rules",
            "probability is above 0 and at most 1.",
        ),
        (
            any(
                rule.kind in ("low_confidence", "disagreement") and not rule.score
                for rule in s.rules
            ),
            "rules",
            "low_confidence and disagreement name the score that they look at.",
        ),
        (
            any(rule.kind in ("found", "disagreement") and not rule.check for rule in s.rules),
            "rules",
            "found and disagreement name a check of the guardrails.",
        ),
        (not 1 <= s.raters_per_item <= 9, "raters_per_item", "1 to 9."),
        (
            s.access == "assigned" and not s.raters,
            "raters",
            "a queue for assigned raters names them.",
        ),
        (max(len(s.raters), len(s.adjudicators)) > _MOST_RATERS, "raters", "200 at most."),
        (not 1 <= s.lease_minutes <= 1440, "lease_minutes", "1 to 1440."),
        (not 1 <= s.skips <= 20, "skips", "1 to 20."),
        (not 0 <= s.gold_share <= 0.5, "gold_share", "0 to 0.5."),
        (not 0 <= s.gold_floor <= 1, "gold_floor", "0 to 1."),
        (not 1 <= s.daily_cap <= 100_000, "daily_cap", "1 to 100000."),
        (
            s.retention_days is not None and not 1 <= s.retention_days <= 3650,
            "retention_days",
            "1 to 3650, or null.",
        ),
    ]
