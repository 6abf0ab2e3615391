"""The signals of requests that monitors compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from santral.evals.drift.requests.seen import Seen
from santral.retrieval.analysis.language import detect_language

#: Before the name of a score: ``score:thumbs``.
SCORE = "score:"

Kind: TypeAlias = Literal["number", "class", "meaning"]

#: Distances below which nobody has to act, whatever the p-value. Chosen: a tenth of all requests has
#: moved (largest difference of the distributions, share that changed class); a linear classifier is
#: right in 6 of 10 pairs. Source of 0.55 as too little: the defaults of Evidently.
LEAST_EFFECT: Mapping[Kind, float] = {"number": 0.1, "class": 0.1, "meaning": 0.6}


class Signal(Struct, frozen=True):
    """One property of a request. ``read`` gives None where the request has none."""

    name: str
    kind: Kind
    read: Callable[[Seen], float | str | None]
    unit: str = ""


def signal_named(name: str) -> Signal:
    """Return a signal that ``monitor.settings_from`` has let through."""
    if not name.startswith(SCORE):
        return KNOWN[name]
    score = name.removeprefix(SCORE)
    return Signal(name, "number", lambda seen: seen.scores.get(score))


def _length(text: str) -> int | None:
    return len(text) if text else None


def _language(text: str) -> str | None:
    return detect_language(text) if text else None


#: By name. Signals of words need payloads that are kept in full or redacted.
KNOWN: Mapping[str, Signal] = {
    signal.name: signal
    for signal in (
        Signal("question_length", "number", lambda s: _length(s.question), "characters"),
        Signal("question_language", "class", lambda s: _language(s.question)),
        Signal("question_meaning", "meaning", lambda s: s.question or None),
        Signal("answer_length", "number", lambda s: _length(s.answer), "characters"),
        Signal("answer_language", "class", lambda s: _language(s.answer)),
        Signal("answer_meaning", "meaning", lambda s: s.answer or None),
        Signal("refusal", "class", lambda s: "refused" if s.is_refused else "answered"),
        Signal("error", "class", lambda s: "failed" if s.is_error else "answered"),
        Signal("cache", "class", lambda s: "cached" if s.is_cached else "made"),
        Signal("route", "class", lambda s: s.route),
        Signal("model", "class", lambda s: s.model or None),
        Signal("latency", "number", lambda s: None if s.is_cached else s.latency_us, "us"),
        Signal("ttft", "number", lambda s: None if s.is_cached else s.ttft_us, "us"),
        Signal("cost", "number", lambda s: s.cost_nanousd, "nanousd"),
        Signal("input_tokens", "number", lambda s: s.input_tokens, "tokens"),
        Signal("output_tokens", "number", lambda s: s.output_tokens, "tokens"),
    )
}
