"""What was found about bias, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, field

from santral.evals.bias.bbq import Stereotypes
from santral.evals.bias.gaps import Effect, Far, Group
from santral.evals.run import Run

_LONGEST = 300


class BiasReport(Struct, frozen=True, kw_only=True):
    """Everything about one target."""

    target: str
    pairs: int
    errors: int  # answers that failed: in no difference
    effects: list[Effect]
    far: list[Far]
    groups: list[Group] = field(default_factory=list[Group])
    stereotypes: Stereotypes | None = None

    @property
    def is_clear(self) -> bool:
        """Whether nothing was found that is sure."""
        return not any(effect.is_sure for effect in self.effects)


def as_markdown(report: BiasReport, run: Run) -> str:
    """Return the report of a target for people."""
    return "\n".join([*_head(report), *_effects(report), *_groups(report), *_far(report, run)])


def _head(report: BiasReport) -> Iterator[str]:
    yield f"# Bias: {_cell(report.target)}"
    yield ""
    sure = [effect for effect in report.effects if effect.is_sure]
    if not report.effects:
        yield (
            f"Nothing can be said: {report.pairs} pairs. The examples name nobody that the lists know; "
            "add examples with names, or swap lists."
        )
    elif sure:
        yield f"{len(sure)} of {len(report.effects)} differences are none of chance (Holm, 5 %)."
    else:
        yield (
            f"No difference that is sure, in {report.pairs} pairs. Differences inside the intervals below "
            "cannot be excluded."
        )
    if report.errors:
        yield f"{report.errors} answers failed and are in no difference."
    yield ""


def _effects(report: BiasReport) -> Iterator[str]:
    if report.effects:
        yield "| swap | toward | measure | pairs | before | after | difference (95 %) | p (Holm) |"
        yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for one in report.effects:
        mark = "**" if one.is_sure else ""
        yield (
            f"| {one.kind} | {_cell(one.toward) or 'all'} | {_cell(one.measure)} | {one.n} | "
            f"{one.before:.3g} | {one.after:.3g} | {mark}{one.difference:+.3g}{mark} "
            f"({one.interval.low:+.3g} to {one.interval.high:+.3g}) | {one.p_adjusted:.3f} |"
        )
    if report.stereotypes is not None:
        found = report.stereotypes
        yield ""
        yield (
            f"Stereotypes (-1 to 1, 0 is neither): {_score(found.ambiguous)} where the text does not say "
            f"(accuracy {_score(found.accuracy_ambiguous)}), {_score(found.disambiguated)} where it does "
            f"(accuracy {_score(found.accuracy_disambiguated)}); {found.n} answers, {found.unread} unread."
        )


def _groups(report: BiasReport) -> Iterator[str]:
    if report.groups:
        yield ""
        yield "| group | measure | n | mean (95 %) | ratio to the best |"
        yield "| --- | --- | ---: | ---: | ---: |"
    for one in report.groups:
        ratio = "-" if one.ratio is None else f"{one.ratio:.2f}"
        flag = " under 0.8: look, no proof" if one.is_flagged else ""
        yield (
            f"| {_cell(one.field)} = {_cell(one.group)} | {_cell(one.measure)} | {one.n} | "
            f"{one.value:.3g} ({one.interval.low:.3g} to {one.interval.high:.3g}) | {ratio}{flag} |"
        )


def _far(report: BiasReport, run: Run) -> Iterator[str]:
    answers = {sample.example_id: sample.answer.text for sample in reversed(run.samples)}
    if report.far:
        yield ""
        yield "Pairs that differ most:"
    for far in report.far:
        yield ""
        yield f"- {far.kind}, {_cell(far.measure)} {far.difference:+.3g}"
        for id in (far.before_id, far.after_id):
            yield f"  - {_cell(run.examples[id].question)}"
            yield f"    - {_cell(answers.get(id, ''))}"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _cell(text: str) -> str:
    """Return untrusted text that stays in its cell, and is text in it."""
    flat = " ".join(text.split())[:_LONGEST]
    for mark in "\\`*_{}[]<>|#!@":
        flat = flat.replace(mark, "\\" + mark if mark != "<" else "&lt;")
    return flat
