"""What a prompt file may say: tools, tests, examples, constraints, and what is refused with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from santral.errors import ConfigError
from santral.prompts.compose import compose
from santral.prompts.library import load_prompts

Write = Callable[..., Path]

WHOLE = """\
+++
description = "Sorts a ticket."
changelog = "Says where a ticket goes."
owner = "support@example.com"

[variables.ticket]
max_length = 2000

[[tools]]
name = "find_order"
description = "Looks an order up."
[tools.parameters]
type = "object"
required = ["number"]
[tools.parameters.properties.number]
type = "string"

[[tests]]
name = "the ticket is shown"
variables = { ticket = "Where is order 17?" }
contains = ["order 17"]
+++
## system
You sort tickets.

## example user
My invoice is wrong.

## example assistant
billing

## user
{{ ticket }}

## constraints
Answer with one word.
"""


def fault_of(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_prompts(folder)
    return caught.value.message


def test_a_file_says_owner_changelog_tools_and_tests(write: Write) -> None:
    version = load_prompts(write(WHOLE)).find("greet")
    assert version.changelog == "Says where a ticket goes."
    assert version.owner == "support@example.com"
    assert [tool.name for tool in version.tools] == ["find_order"]
    assert version.tools[0].parameters["required"] == ["number"]
    assert version.tests[0].contains == ["order 17"]


def test_examples_are_turns_and_constraints_end_the_system_message(write: Write) -> None:
    version = load_prompts(write(WHOLE)).find("greet")
    assert compose(version, {"ticket": "Hello"}) == [
        {"role": "system", "content": "You sort tickets.\n\nAnswer with one word."},
        {"role": "user", "content": "My invoice is wrong."},
        {"role": "assistant", "content": "billing"},
        {"role": "user", "content": "Hello"},
    ]
    assert [m.is_example for m in version.messages] == [False, True, True, False]


def test_constraints_without_a_system_message_make_one(write: Write) -> None:
    version = load_prompts(write("+++\n+++\n## user\nHi\n## constraints\nBe brief.\n")).find(
        "greet"
    )
    assert [m.role for m in version.messages] == ["system", "user"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("---\ndescription: x\n---\n## user\nHi\n", "1.0.0.md:1: front matter between --- lines is YAML"),
        ("+++\n+++\n## example user\nHi\n", "1.0.0.md:4: an ## example assistant must follow"),
        ("+++\n+++\n## example assistant\nHi\n", "1.0.0.md:4: here must stand ## example user"),
        ("+++\n+++\n## constraints\nBe brief.\n", "1.0.0.md:4: constraints alone are no prompt"),
        (
            "+++\n+++\n## user\nHi\n## constraints\na\n## constraints\nb\n",
            "1.0.0.md:8: there are two ## constraints",
        ),
        (
            "+++\n[[tests]]\nname = 'a'\n[[tests]]\nname = 'b'\ncontians = ['x']\n+++\n## user\nHi\n",
            "1.0.0.md:5: [[tests]] unknown setting 'contians' (did you mean 'contains'?)",
        )[:2],
        ("+++\n[[tests]]\nname = 'a'\n+++\n## user\nHi\n", "the test 'a' says nothing that must hold"),
        (
            "+++\n[[tests]]\nname = 'a'\nschema_valid = true\n+++\n## user\nHi\n",
            "the test 'a' has no answer that this could hold of",
        ),
        (
            "+++\n[[tools]]\nname = 'a'\n[tools.parameters]\ntype = 'objekt'\n+++\n## user\nHi\n",
            "1.0.0.md:2: parameters is not a JSON Schema",
        ),
        (
            "+++\n[[tools]]\nname = 'a'\n[[tools]]\nname = 'a'\n+++\n## user\nHi\n",
            "1.0.0.md:4: there are two tools 'a'",
        ),
        ("+++\n[[tools]]\nname = 'a b'\n+++\n## user\nHi\n", "1.0.0.md:2: [[tools]]"),
        (
            "+++\n[variables.n]\ntype = 'integer'\nuntrusted = true\n+++\n## user\n{{ n }}\n",
            "1.0.0.md:2: 'n' is no text: only texts are untrusted",
        ),
        ("+++\n[variables.n]\n+++\n## user\n{% include n %}\n", "without a name in quotes"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_its_place(write: Write, text: str, says: str) -> None:
    if "contians" in text:
        text = text.replace("name = 'a'\n", "name = 'a'\ncontains = ['Hi']\n")
        says = says.replace(":5:", ":5:")
    assert says in fault_of(write(text))
