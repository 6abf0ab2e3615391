"""Reports of runs that are held against nothing: no answer and no name breaks out of a format."""

from __future__ import annotations

import json
from typing import get_args
from xml.etree import ElementTree

import pytest

from santral.evals.alone import render_alone
from santral.evals.answer import Answer
from santral.evals.evaluator import Measure, Score
from santral.evals.run import Run, RunHead, Sample
from santral.evals.verdict.report.render import Format

HOSTILE = "a|b `c` <script>x</script> ]]> --> @team [l](http://e) \x00 \ud7ff"


def run() -> Run:
    head = RunHead(
        id="run_a", suite=HOSTILE, target="t", route="r", measures=[Measure(name="exact")]
    )
    samples = [
        Sample(
            example_id=HOSTILE,
            example_hash="h",
            repeat=0,
            answer=Answer(error="timeout", error_message=HOSTILE),
            scores=[Score(name="exact", error="no_answer")],
        )
    ]
    return Run(head=head, samples=samples)


@pytest.mark.parametrize("format_", get_args(Format))
def test_a_report_says_what_failed(format_: Format) -> None:
    text = render_alone([run(), run()], format_)

    assert "timeout" in text
    if format_ in ("md", "html"):
        assert "<script>" not in text


def test_junit_is_xml_and_json_is_json_whatever_was_said() -> None:
    suites = ElementTree.fromstring(render_alone([run()], "junit"))
    assert suites[0].attrib["errors"] == "1"
    assert suites[0][1][0].attrib["type"] == "timeout"
    assert json.loads(render_alone([run()], "json"))[0]["summary"]["failures"] == {"timeout": 1}
