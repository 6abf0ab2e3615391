from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.prompts.conftest import find_nothing

from santral.errors import BadRequest
from santral.prompts import compose as compose_module
from santral.prompts.compose import compose
from santral.prompts.file import read_draft
from santral.prompts.library import load_prompts
from santral.prompts.link import link
from santral.prompts.version import PromptVersion

Write = Callable[..., Path]

EVERY_TYPE = """\
+++
[variables.text]
type = "string"
max_length = 5
[variables.whole]
type = "integer"
[variables.real]
type = "number"
[variables.flag]
type = "boolean"
[variables.items]
type = "strings"
max_items = 2
max_length = 5
+++
## user
{{ text }}|{{ whole }}|{{ real }}|{% if flag %}yes{% endif %}|{{ items | join("+") }}
"""
FINE: dict[str, Any] = {"text": "a", "whole": 1, "real": 0.5, "flag": True, "items": ["x", "y"]}


@pytest.fixture
def every_type(write: Write) -> PromptVersion:
    return load_prompts(write(EVERY_TYPE)).find("greet")


def test_messages_are_filled_in_order(write: Write) -> None:
    version = load_prompts(write()).find("greet")
    assert compose(version, {"name": "Ada"}) == [
        {"role": "system", "content": "Greet Ada 3 times."},
        {"role": "user", "content": "Hello"},
    ]


def test_every_type_of_variable_is_taken(every_type: PromptVersion) -> None:
    assert compose(every_type, FINE)[0]["content"] == "a|1|0.5|yes|x+y"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("text", 1, "'text' must be a string, not an integer"),
        ("text", None, "'text' must be a string, not null"),
        ("text", "123456", "'text' has 6 characters, more than 5"),
        ("whole", True, "'whole' must be an integer, not a boolean"),
        ("whole", 1.5, "'whole' must be an integer, not a number"),
        ("real", "1", "'real' must be a number, not a string"),
        ("real", float("nan"), "'real' must be a number"),
        ("flag", 1, "'flag' must be true or false, not an integer"),
        ("items", "xy", "'items' must be a list of strings, not a string"),
        ("items", [1], "'items' must be a list of strings"),
        ("items", ["a", "b", "c"], "'items' has 3 items, more than 2"),
        ("items", ["a", "123456"], "'items' has an item of 6 characters"),
    ],
)
def test_a_mistyped_variable_is_named(
    every_type: PromptVersion, name: str, value: Any, says: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        compose(every_type, {**FINE, name: value})
    assert says in caught.value.message
    assert caught.value.param == "santral.prompt.variables"


def test_missing_and_unknown_variables_are_all_named(write: Write) -> None:
    version = load_prompts(write()).find("greet")
    with pytest.raises(BadRequest) as caught:
        compose(version, {"nmae": "Ada", "other": 1})
    for part in ("'name' is missing", "'nmae' is not a variable", "Did you mean 'name'", "'other'"):
        assert part in caught.value.message


@given(st.text(max_size=200))
def test_a_value_is_data_and_never_template_or_heading(value: str) -> None:
    path = Path(__file__).parents[2] / "examples/quickstart/prompts/assistant/1.0.0.md"
    version = link(read_draft(path, "assistant"), find_nothing)
    for text in (f"{{{{ 7 - 1 }}}}{value}"[:80], f"\n## user\n{value}"[:80]):
        messages = compose(version, {"product": text})
        assert len(messages) == 1
        assert f"questions about {text} from" in messages[0]["content"]


def test_a_message_whose_condition_leaves_nothing_is_not_sent(write: Write) -> None:
    text = (
        "+++\n[variables.hint]\ndefault = ''\n+++\n"
        "## system\n{% if hint %}\nHint: {{ hint }}\n{% endif %}\n## user\nHello\n"
    )
    version = load_prompts(write(text)).find("greet")
    assert [m["role"] for m in compose(version, {})] == ["user"]
    assert compose(version, {"hint": "x"})[0]["content"] == "Hint: x"


def test_other_headings_are_text_of_the_message(write: Write) -> None:
    version = load_prompts(write("+++\n+++\n## user\n# A\n## Users\n### user\n")).find("greet")
    assert compose(version, {}) == [{"role": "user", "content": "# A\n## Users\n### user"}]


def test_output_is_bounded(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose_module, "MAX_COMPOSED_CHARACTERS", 30)
    text = "+++\n[variables.items]\ntype = 'strings'\n+++\n## user\n{% for i in items %}{{ i }}{% endfor %}"
    version = load_prompts(write(text)).find("greet")
    assert compose(version, {"items": ["x" * 10] * 3})[0]["content"] == "x" * 30
    with pytest.raises(BadRequest, match="grew over 30 characters"):
        compose(version, {"items": ["x" * 10] * 4})


def test_what_fails_while_filling_in_names_the_message(write: Write) -> None:
    text = "+++\n[variables.a]\n+++\n## user\n{{ a + 1 }}\n"
    with pytest.raises(BadRequest, match="failed in the message at line 5"):
        compose(load_prompts(write(text)).find("greet"), {"a": "x"})


def test_loops_know_their_place_and_json_keeps_its_letters(write: Write) -> None:
    text = (
        "+++\n[variables.items]\ntype = 'strings'\n+++\n## user\n"
        "{% for i in items %}\n{{ loop.index }}. {{ i | tojson }}\n{% endfor %}\n"
    )
    version = load_prompts(write(text)).find("greet")
    assert compose(version, {"items": ["ş<b>", "c"]})[0]["content"] == '1. "ş<b>"\n2. "c"'
