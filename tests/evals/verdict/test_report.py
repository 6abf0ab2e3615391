"""Reports: what they say, and that nothing a model says can change them."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any, ClassVar
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from tests.evals.verdict.runs import COST, PASSED, QUALITY, example, run

from santral.errors import BadRequest
from santral.evals.evaluator import Measure
from santral.evals.run import Run
from santral.evals.verdict.compare import compare
from santral.evals.verdict.comparison import Comparison
from santral.evals.verdict.gate import Gate
from santral.evals.verdict.report.markdown import block, code, marker, plain
from santral.evals.verdict.report.render import parse_formats, render

HOSTILE = (
    "-->\n```\n</details><script>alert(1)</script> | a | b |\n"
    "@team see https://evil.example and [here](javascript:x) ![x](https://evil.example/p.png)\n"
    "````\n# Passed\n<!-- santral-eval:other -->\x1b[31m\u202egnp.exe &amp; ]]> www.evil.example\n|---|\n$x$"
)


def regressed(hostile: str = "") -> Comparison:
    asked = [
        example(i, question=hostile or f"Question {i}", kind=hostile or "b" if i % 2 else "a")
        for i in range(60)
    ]
    texts = [hostile or f"Answer {i}" for i in range(60)]
    base = run(
        {"passed": [1.0] * 60, "cost_nanousd": [1000.0] * 60}, [PASSED, COST], examples=asked
    )
    head = run(
        {"passed": [0.0] * 20 + [1.0] * 40, "cost_nanousd": [2000.0] * 60}, [PASSED, COST],
        examples=asked, texts=texts, id="head",
    )  # fmt: skip
    return compare(base, head, Gate(), rng=np.random.default_rng(1))


def named(hostile: str) -> Comparison:
    """Everything that can come from outside says something hostile."""
    measure = Measure(name=hostile, is_binary=True, note=hostile)
    spent = Measure(name="spent", high=None, unit=hostile, direction="lower")
    asked = [
        msgspec.structs.replace(example(i, question=hostile), id=f"{i}{hostile}") for i in range(20)
    ]
    made = [
        run(
            {hostile: values, "spent": values},
            [measure, spent],
            examples=asked,
            texts=[hostile] * 20,
            failed=2,
            is_complete=False,
        )
        for values in ([1.0] * 20, [0.0] * 20)
    ]
    runs = [
        Run(
            head=msgspec.structs.replace(
                one.head, suite=hostile, target=hostile, prompt=hostile, dataset=hostile, git_sha=hostile,
                route=hostile, id=hostile, stop_reason=hostile,
            ),
            samples=[
                msgspec.structs.replace(s, answer=msgspec.structs.replace(s.answer, error=s.answer.error and hostile))
                for s in one.samples
            ],
            examples=one.examples,
        )
        for one in made
    ]  # fmt: skip
    return compare(runs[0], runs[1], Gate(), rng=np.random.default_rng(1))


def tokens(markdown: str) -> list[Token]:
    found: list[Token] = []
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        found.extend([token, *(token.children or [])])
    return found


def test_the_comment_says_what_happened() -> None:
    text = render(regressed(), "md")
    assert text.startswith(
        "<!-- santral-eval:support -->\n\n## ❌ Regression: evaluation of `support`\n"
    )
    assert "**passed became worse by more than a change may cost.**" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| `passed`")]
    assert "| 60 | 100.0 % | 66.7 % | -33.3 [-4" in row
    assert row.endswith("| < 0.001 | ❌ regression |")
    assert "| ❌ regression (does not decide) |" in text  # the cost
    assert "`passed`: 20 broken: `e0000`, " in text
    assert "-base says 1.0 of e0000\n+Answer 0" in text
    assert "Spent: head $0.0001, base $0.0001" in text


def test_what_could_not_be_concluded_is_said() -> None:
    values = [float(i % 3 > 0) for i in range(60)]
    few = compare(
        run({"passed": [1.0] * 40 + [0.0] * 20}), run({"passed": values}, id="head"), Gate(),
        rng=np.random.default_rng(1),
    )  # fmt: skip
    text = render(few, "md")
    assert "## ❔ Not enough data" in text
    assert "With 60 examples you cannot see less than " in text


@pytest.mark.parametrize("make", [regressed, named])
def test_nothing_that_is_said_becomes_markup_in_the_comment(make: Any) -> None:
    text = render(make(HOSTILE), "md")
    found = tokens(text)
    kinds = {token.type for token in found}
    assert not kinds & {"link_open", "image", "html_inline"}
    html = {token.content.strip() for token in found if token.type == "html_block"}
    assert all(
        re.fullmatch(
            r"<!-- santral-eval:[\w.-]+ -->|<details><summary>The \d examples that lost most</summary>|</details>",
            one,
        )
        for one in html
    ), html  # fmt: skip
    assert sum(token.type == "heading_open" for token in found) == 1
    spoken = [t.content for t in found if t.type == "text"]
    assert not any("@team" in line or "https://" in line or "www.evil" in line for line in spoken)
    assert "\x1b" not in text
    assert "\u202e" not in text
    columns = [token for token in found if token.type == "th_open"]
    assert len(columns) % 9 in (0, 7)


@pytest.mark.parametrize("make", [regressed, named])
def test_nothing_that_is_said_becomes_markup_in_the_page(make: Any) -> None:
    class Seen(HTMLParser):
        tags: ClassVar[set[str]] = set()

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.add(tag)
            assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)

    page = render(make(HOSTILE), "html")
    seen = Seen()
    seen.feed(page)
    assert "table" in seen.tags
    assert not seen.tags & {"script", "a", "img", "iframe", "link", "form"}
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


@pytest.mark.parametrize("make", [regressed, named])
def test_junit_is_xml_whatever_is_said(make: Any) -> None:
    root = ElementTree.fromstring(render(make(HOSTILE), "junit"))
    (suite,) = root
    assert suite.get("failures") == "1"
    assert suite.find("testcase/failure") is not None


def test_junit_has_a_case_for_each_measure() -> None:
    (suite,) = ElementTree.fromstring(render(regressed(), "junit"))
    assert [case.get("name") for case in suite.iter("testcase")] == ["passed", "cost_nanousd"]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "0")
    failed = compare(
        run({"passed": [1.0] * 10}),
        run({"passed": [1.0] * 10}, id="h", failed=9),
        Gate(),
        rng=np.random.default_rng(1),
    )
    (broken,) = ElementTree.fromstring(render(failed, "junit"))
    assert broken.get("errors") == "1"


def test_json_holds_everything_and_no_infinities() -> None:
    report = json.loads(render([regressed(), regressed()], "json"))
    assert (report["outcome"], report["exit_code"], len(report["comparisons"])) == (
        "regression",
        1,
        2,
    )
    (passed, _) = report["comparisons"][0]["measures"]
    assert passed["tier"] == "regression"
    assert passed["low"] < passed["difference"] < passed["high"] < -0.05
    lone = compare(
        run({"quality": [0.5]}, [QUALITY]),
        run({"quality": [0.4]}, [QUALITY], id="h"),
        Gate(),
        rng=np.random.default_rng(1),
    )
    assert json.loads(render(lone, "json"))["comparisons"][0]["measures"][0]["low"] is None


def test_a_comment_is_never_longer_than_github_takes() -> None:
    long = "`" * 500 + "word " * 4000
    text = render([named(long + str(i)) for i in range(12)], "md")
    assert len(text) <= 60_200
    assert text.rstrip().endswith("see the other reports of this run.")
    assert text.count("<details>") == text.count("</details>")


def test_the_marker_is_of_the_suite() -> None:
    assert marker("support") == "<!-- santral-eval:support -->"
    assert marker("a --> b <script>") == "<!-- santral-eval:a-b-script- -->"


def test_spans_and_blocks_cannot_be_left() -> None:
    assert code("a`b``c") == "```a`b``c```"
    assert code("`x`") == "`` `x` ``"
    assert code("a|b", in_table=True) == "`a\\|b`"
    assert block("```\nx", "text") == "````text\n```\nx\n````"
    assert plain("<b> @all") == "&lt;b&gt; @\u200ball"


def test_formats_that_do_not_exist_are_named() -> None:
    assert parse_formats("md, json,") == ["md", "json"]
    with pytest.raises(BadRequest, match="Did you mean 'junit'"):
        parse_formats("md,junt")
