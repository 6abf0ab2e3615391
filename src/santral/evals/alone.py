"""Reports of a run that is held against nothing: what was measured, and what went wrong."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

import msgspec

from santral.evals.run import Run, Sample
from santral.evals.summary import Measured, Summary, summary_of
from santral.evals.verdict.report.render import Format

#: What ends a cell of a Markdown table, or begins something in it.
_MARKS = re.compile(r"([\\`*_{}\[\]<>()#+!|@~&-])")


def render_alone(runs: Sequence[Run], format_: Format) -> str:
    """Return the report of the runs of a suite."""
    found = [(run, summary_of(run)) for run in runs]
    if format_ == "json":
        return msgspec.json.encode([{"head": r.head, "summary": s} for r, s in found]).decode()
    if format_ == "junit":
        suites = "".join(_junit(run, summary) for run, summary in found)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>{suites}</testsuites>\n'
    if format_ == "md":
        return "\n".join(_markdown(run, summary) for run, summary in found)
    sections = "".join(_html(run, summary) for run, summary in found)
    title = html.escape(runs[0].head.suite) if runs else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"{sections}</html>\n"
    )


def _markdown(run: Run, summary: Summary) -> str:
    rows = [
        "| " + " | ".join(_shown(cell) for cell in _cells(one)) + " |" for one in summary.measures
    ]
    lines = [
        f"### {_shown(_title(run))}",
        "",
        "| measure | value | 95 % | examples | without a value |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
        *(_shown(line) for line in _said(run, summary)),
    ]
    return "\n".join(lines) + "\n"


def _shown(text: str) -> str:
    """Return a text in which nothing is Markdown."""
    return _MARKS.sub(r"\\\1", text)


def _html(run: Run, summary: Summary) -> str:
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(one)) + "</tr>"
        for one in summary.measures
    )
    said = "".join(f"<p>{html.escape(line)}</p>" for line in _said(run, summary))
    return (
        f"<h1>{html.escape(_title(run))}</h1><table><thead><tr><th>measure<th>value<th>95 %"
        f"<th>examples<th>without a value</tr></thead><tbody>{rows}</tbody></table>{said}"
    )


def _junit(run: Run, summary: Summary) -> str:
    """Each answer is a case; one that failed is an error. Measures stand among the properties."""
    properties = "".join(
        f"<property name={quoteattr(one.name)} value={quoteattr(_value(one))}/>"
        for one in summary.measures
    )
    cases = "".join(_case(run, sample) for sample in run.samples)
    failed = sum(summary.failures.values())
    return (
        f'<testsuite name={quoteattr(_plain(_title(run)))} tests="{len(run.samples)}" '
        f'errors="{failed}" failures="0"><properties>{properties}</properties>{cases}</testsuite>'
    )


def _case(run: Run, sample: Sample) -> str:
    answer = sample.answer
    error = f"<error type={quoteattr(answer.error)}>{escape(_plain(answer.error_message))}</error>"
    name = _plain(f"{sample.example_id} #{sample.repeat + 1}")
    return (
        f"<testcase classname={quoteattr(run.head.target)} name={quoteattr(name)} "
        f'time="{answer.latency_us / 1e6:.3f}">{error if answer.error else ""}</testcase>'
    )


def _title(run: Run) -> str:
    return f"{run.head.suite} / {run.head.target}"


def _said(run: Run, summary: Summary) -> list[str]:
    cost = summary.cost_nanousd
    price = "of which a price is unknown" if cost is None else f"for ${cost / 1e9:.6f}"
    lines = [f"{summary.examples} examples, {summary.samples} answers, {price}."]
    if summary.failures:
        counts = ", ".join(f"{code} {count}" for code, count in sorted(summary.failures.items()))
        lines.append(f"No answer: {counts}.")
    if run.head.stop_reason:
        lines.append(f"Stopped early: {run.head.stop_reason}.")
    return lines


def _cells(one: Measured) -> tuple[str, ...]:
    interval = "–" if one.low is None or one.high is None else f"{one.low:.4g} to {one.high:.4g}"
    errors = ", ".join(f"{why} {count}" for why, count in sorted(one.errors.items()))
    return (one.name, _value(one), interval, str(one.n), errors or "–")


def _value(one: Measured) -> str:
    return "–" if one.value is None else f"{one.value:.4g} {one.unit}".strip()


def _plain(text: str) -> str:
    """Return a text without what XML cannot hold."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)
