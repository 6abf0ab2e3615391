"""A comparison as tests: a measure is a test case, for the test tab of a CI server."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from santral.evals.verdict.amount import amount
from santral.evals.verdict.comparison import Comparison, MeasureChange
from santral.evals.verdict.report import words


def as_junit(comparisons: Sequence[Comparison]) -> str:
    """Return JUnit's XML: a suite for each target, failed where a measure that decides regressed."""
    root = Element("testsuites", name="santral eval")
    for comparison in comparisons:
        _suite(root, comparison)
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _suite(root: Element, comparison: Comparison) -> None:
    cases = [_case(one) for one in comparison.measures]
    if comparison.outcome in ("infrastructure", "regression") and not any(
        case.find("failure") is not None for case in cases
    ):
        cases.append(_broken(comparison))
    suite = SubElement(
        root, "testsuite", name=_text(f"{comparison.head.suite}.{comparison.head.target}")
    )
    suite.set("tests", str(len(cases)))
    for kind, plural in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(plural, str(sum(case.find(kind) is not None for case in cases)))
    suite.extend(cases)
    SubElement(suite, "system-out").text = _text("\n".join(comparison.notes))


def _case(one: MeasureChange) -> Element:
    case = Element("testcase", name=_text(one.measure.name), classname="measure")
    p = one.p if one.p_holm is None else one.p_holm
    summary = (
        f"{amount(one.measure, one.base)} → {amount(one.measure, one.head)}, difference "
        f"{words.interval(one)}, n = {one.n}, p = {words.probability(p)}. {one.words}"
    )
    if one.tier == "regression" and one.decides:
        failure = SubElement(case, "failure", message=_text(summary), type="regression")
        failure.text = _text("broken: " + ", ".join(one.broken[:50])) if one.broken else None
    elif one.tier in ("not_enough_data", "unreliable_baseline", "new_series"):
        SubElement(case, "skipped", message=_text(f"{words.TIERS[one.tier]}: {summary}"))
    else:
        SubElement(case, "system-out").text = _text(f"{words.TIERS[one.tier]}: {summary}")
    return case


def _broken(comparison: Comparison) -> Element:
    case = Element("testcase", name="answers", classname="run")
    kind = "error" if comparison.outcome == "infrastructure" else "failure"
    SubElement(case, kind, message=_text(words.sentence(comparison)), type=comparison.outcome)
    return case


def _text(text: str) -> str:
    return words.readable(text, 4000, 60)
