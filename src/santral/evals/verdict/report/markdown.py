"""The comment of a pull request: one, found again by its first line.

Words of models and users are shown in code only: there nothing is a link, a mention, HTML or a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from santral.evals.verdict.amount import amount, size
from santral.evals.verdict.comparison import Comparison, MeasureChange, Said
from santral.evals.verdict.report import words

#: Longest comment. Source: GitHub's API refuses bodies over 65,536 characters; GitLab takes a million.
_MOST_LETTERS = 60_000
_MOST_NAMED = 20

_SIGNS = {
    "regression": "❌",
    "soft": "⚠️",
    "noise": "➖",
    "improvement": "✅",
    "not_enough_data": "❔",
    "unreliable_baseline": "❔",
    "new_series": "❔",
    "shown": "➖",
    "pass": "✅",
    "infrastructure": "🔌",
}


def marker(suite: str) -> str:
    """Return the first line of a comment, by which the next one finds it."""
    return f"<!-- santral-eval:{re.sub(r'[^A-Za-z0-9._]+', '-', suite)} -->"


def as_markdown(comparisons: Sequence[Comparison]) -> str:
    """Return the comment: all targets of a suite, the verdict first."""
    suite = comparisons[0].head.suite if comparisons else ""
    outcome = words.worst_outcome(comparisons)
    parts = [
        marker(suite),
        f"## {_SIGNS[outcome]} {words.OUTCOMES[outcome]}: evaluation of {code(suite)}",
    ]
    for comparison in comparisons:
        parts.extend(_target(comparison, is_alone=len(comparisons) == 1))
    return _bounded(parts)


def code(text: str, *, in_table: bool = False, letters: int = 120) -> str:
    """Return text as a code span of one line, whatever it says."""
    line = " ".join(words.readable(text, letters).split()) or " "
    fence = "`" * (_longest_run(line) + 1)
    room = " " if line.startswith("`") or line.endswith("`") else ""
    span = f"{fence}{room}{line}{room}{fence}"
    return span.replace("|", "\\|") if in_table else span


def block(text: str, language: str) -> str:
    """Return text as a fenced block that it cannot leave."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def plain(text: str) -> str:
    """Return text in which nothing is markup, a mention or a link."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", words.readable(text, 400, 1))
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    nowhere = "\N{ZERO WIDTH SPACE}"
    for opening in ("@", "://", "www."):
        escaped = escaped.replace(opening, f"{opening[:1]}{nowhere}{opening[1:]}")
    return escaped


def _target(comparison: Comparison, *, is_alone: bool) -> Iterator[str]:
    if not is_alone:
        yield f"### {_SIGNS[comparison.outcome]} {code(comparison.head.target)}"
    yield f"**{plain(words.sentence(comparison))}**"
    yield _table(comparison)
    yield from _conclusions(comparison)
    yield from _slices(comparison)
    for one in comparison.measures:
        yield from _crossings(one)
    yield from _worst(comparison.worst)
    yield (
        f"Spent: {words.spend(comparison)}. Head {code(words.origin(comparison.head))}, base "
        f"{code(words.origin(comparison.base))}. Intervals of {100 * comparison.level:g} %; p over all "
        "measures that decide (Holm); asking again: what repeats alone move; only a regression fails."
    )


def _table(comparison: Comparison) -> str:
    rows = [
        "| measure | n | base | head | difference | asking again | margin | p | verdict |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    return "\n".join([*rows, *(_row(one) for one in comparison.measures)])


def _row(one: MeasureChange) -> str:
    measure = one.measure
    band = "–" if one.noise_band is None else f"± {size(measure, one.noise_band)}"
    margin = "–" if one.margin is None else size(measure, one.margin)
    verdict = (
        f"{_SIGNS[one.tier]} {words.TIERS[one.tier]}{'' if one.decides else ' (does not decide)'}"
    )
    cells = [
        code(measure.name, in_table=True), str(one.n), amount(measure, one.base),
        amount(measure, one.head), words.interval(one), band, margin,
        words.probability(one.p if one.p_holm is None else one.p_holm), verdict,
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _conclusions(comparison: Comparison) -> Iterator[str]:
    lines = [f"- {plain(note)}" for note in comparison.notes]
    lines += [f"- {code(name)}: {plain(why)}" for name, why in words.inconclusive(comparison)]
    lines += [f"- {code(name)}: {plain(what)}" for name, what in words.remarks(comparison)]
    if failed := words.failures(comparison):
        lines.append(f"- answers that failed: {plain(failed)}")
    if lines:
        yield "\n".join(["**What to know**", "", *lines])


def _slices(comparison: Comparison) -> Iterator[str]:
    moved = words.moved_slices(comparison)
    if not moved:
        return
    rows = ["| slice | measure | n | base | head | difference | p |", "| --- " * 7 + "|"]
    rows += [
        f"| {code(f'{one.key} = {one.value}', in_table=True)} | {code(one.measure.name, in_table=True)} "
        f"| {one.n} | {amount(one.measure, one.base)} | {amount(one.measure, one.head)} "
        f"| {words.interval(one)} | {words.probability(one.p_adjusted)} |"
        for one in moved
    ]
    yield f"**Slices that moved** ({len(comparison.slices)} looked at; p by Benjamini and Hochberg)"
    yield "\n".join(rows)


def _crossings(one: MeasureChange) -> Iterator[str]:
    flaky = [found.example_id for found in one.flaky]
    for title, ids in (("broken", one.broken), ("fixed", one.fixed), ("flaky", flaky)):
        if ids and (one.decides or title != "flaky"):
            yield f"{code(one.measure.name)}: {len(ids)} {title}: {_named(ids)}"


def _named(ids: Sequence[str]) -> str:
    shown = ", ".join(code(example_id, letters=80) for example_id in ids[:_MOST_NAMED])
    return shown if len(ids) <= _MOST_NAMED else f"{shown} and {len(ids) - _MOST_NAMED} more"


def _worst(worst: Sequence[Said]) -> Iterator[str]:
    if not worst:
        return
    yield f"<details><summary>The {len(worst)} examples that lost most</summary>"
    for said in worst:
        base, head = amount(said.measure, said.base), amount(said.measure, said.head)
        trace = f", trace {code(said.trace_id)}" if said.trace_id else ""
        yield f"{code(said.example_id)}: {code(said.measure.name)} {base} → {head}{trace}"
        yield block(words.readable(said.asked, 600, 8), "text")
        yield block(words.difference(said), "diff")
    yield "</details>"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _bounded(parts: Sequence[str]) -> str:
    """Return the parts that fit, whole ones only, so that no fence stays open."""
    kept: list[str] = []
    left, is_open = _MOST_LETTERS, False
    for part in parts:
        left -= len(part) + 2
        if left < 0:
            kept.extend(["</details>"] if is_open else [])
            kept.append("The rest is left out: see the other reports of this run.")
            break
        is_open = part.startswith("<details>") or (is_open and part != "</details>")
        kept.append(part)
    return "\n\n".join(kept) + "\n"
