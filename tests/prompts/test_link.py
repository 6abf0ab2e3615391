"""Prompts inside prompts: what is included, what the hash covers, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from santral.errors import ConfigError
from santral.prompts.compose import compose
from santral.prompts.library import load_prompts

Write = Callable[..., Path]
RULES = "+++\n[variables.tone]\ndefault = 'plain'\n+++\n## system\nBe {{ tone }}.\n"


def prompt(include: str, front: str = "") -> str:
    return f'+++\n{front}\n+++\n## system\nYou help.\n{{% include "{include}" %}}\nEnd.\n'


def fault_of(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_prompts(folder)
    return caught.value.message


def test_an_included_text_stands_in_its_place_with_its_variables(write: Write) -> None:
    write(RULES, name="rules")
    version = load_prompts(write(prompt("rules"), name="help")).find("help")
    assert compose(version, {})[0]["content"] == "You help.\nBe plain.\nEnd."
    assert compose(version, {"tone": "warm"})[0]["content"] == "You help.\nBe warm.\nEnd."
    assert version.includes == ("rules@1.0.0",)


def test_a_label_is_followed_and_the_hash_covers_what_it_points_at(write: Write) -> None:
    write(RULES, name="rules")
    write(RULES.replace("Be", "Stay"), name="rules", version="2.0.0")
    folder = write(prompt("rules@live"), name="help")
    labels = folder / "rules" / "labels.toml"
    labels.write_text('live = "1.0.0"\n')
    before = load_prompts(folder).find("help")
    labels.write_text('live = "2.0.0"\n')
    after = load_prompts(folder).find("help")
    assert "Stay plain." in compose(after, {})[0]["content"]
    assert before.content_hash == after.content_hash
    assert before.composed_hash != after.composed_hash


def test_a_pinned_version_stays(write: Write) -> None:
    write(RULES, name="rules")
    write(RULES.replace("Be", "Stay"), name="rules", version="2.0.0")
    version = load_prompts(write(prompt("rules@1.0.0"), name="help")).find("help")
    assert "Be plain." in compose(version, {})[0]["content"]


def test_a_circle_is_named(write: Write) -> None:
    write(prompt("b"), name="a")
    write(prompt("c@1.0.0"), name="b")
    said = fault_of(write(prompt("a"), name="c"))
    assert "a prompt includes itself: a@1.0.0 -> b@1.0.0 -> c@1.0.0 -> a@1.0.0" in said


def test_includes_are_bounded_in_depth_and_in_size(write: Write) -> None:
    folder = write("+++\n+++\n## user\nEnd\n", name="p0")
    for number in range(1, 8):
        folder = write(prompt(f"p{number - 1}"), name=f"p{number}")
    assert "includes are more than 5 deep" in fault_of(folder)


def test_a_text_that_grows_by_its_includes_is_refused(write: Write) -> None:
    folder = write("+++\n+++\n## user\n" + "x" * 1000 + "\n", name="p0")
    for number in range(1, 5):
        body = f'{{% include "p{number - 1}" %}}\n' * 10
        folder = write(f"+++\n+++\n## user\n{body}", name=f"p{number}")
    assert "with its includes it has over 1000000 characters" in fault_of(folder)


@pytest.mark.parametrize(
    ("include", "says"),
    [
        (
            "ruls",
            "help/1.0.0.md:6: include 'ruls': There is no prompt 'ruls'. Did you mean 'rules'?",
        ),
        ("rules@3.0.0", "help/1.0.0.md:6: include 'rules@3.0.0': Prompt 'rules' has no version or"),
        ("Rules", "help/1.0.0.md:6: include names 'Rules'"),
        ("two", "two@1.0.0 has 2 messages"),
    ],
)
def test_what_is_not_there_is_named_with_its_line(write: Write, include: str, says: str) -> None:
    write(RULES, name="rules")
    write("+++\n+++\n## user\na\n## assistant\nb\n", name="two")
    assert says in fault_of(write(prompt(include), name="help"))


def test_a_variable_of_two_types_is_refused(write: Write) -> None:
    write(RULES, name="rules")
    folder = write(prompt("rules", "[variables.tone]\ntype = 'integer'"), name="help")
    assert "'tone' is of type integer, and in rules@1.0.0 of type string" in fault_of(folder)


def test_a_variable_may_be_declared_anew_for_what_is_included(write: Write) -> None:
    write(RULES, name="rules")
    folder = write(prompt("rules", "[variables.tone]\ndefault = 'warm'"), name="help")
    assert "Be warm." in compose(load_prompts(folder).find("help"), {})[0]["content"]


def test_an_unknown_name_is_told_although_something_is_included(write: Write) -> None:
    write(RULES, name="rules")
    text = prompt("rules").replace("You help.", "You help {{ who }}.")
    assert "help/1.0.0.md:5: 'who' is not under [variables]" in fault_of(write(text, name="help"))
