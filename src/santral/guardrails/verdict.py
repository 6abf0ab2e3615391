"""What a check found, and what was done about it: the two are kept apart."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Action = Literal["allow", "mask", "refuse", "report", "retry", "hold"]
Judgement = Literal["passed", "found", "failed"]


class Span(Struct, frozen=True):
    """Characters ``start`` to ``end`` of text number ``text`` of the request."""

    text: int
    start: int
    end: int
    kind: str = ""


class Verdict(Struct, frozen=True):
    """The answer of one check. ``failed`` means that the check itself broke."""

    check: str
    verdict: Judgement
    action: Action
    reason: str = ""  # never the value that was found
    count: int = 0
    duration_us: int = 0
    spans: tuple[Span, ...] = ()


class Finding(Struct, frozen=True):
    """What a check reports to the policy; nothing was found when ``count`` is 0.

    ``action`` replaces the configured action of the check for this finding, where a finding is
    weaker than the check's ordinary ones (a rule that hit inside a quotation).
    """

    count: int = 0
    reason: str = ""
    spans: tuple[Span, ...] = ()
    action: Action | None = None


NOTHING_FOUND = Finding()
