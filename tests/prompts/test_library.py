from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.errors import BadRequest, ConfigError, NotFound
from santral.prompts.file import content_hash, parse_draft
from santral.prompts.library import inspect_prompts, load_prompts
from santral.prompts.version import SemVer

Write = Callable[..., Path]
BODY = "+++\n+++\n## user\nHello\n"


def fault_of(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_prompts(folder)
    return caught.value.message


def front(toml: str, body: str = "Hello") -> str:
    return f"+++\n{toml}\n+++\n## user\n{body}\n"


def test_a_version_carries_what_its_file_says(write: Write) -> None:
    version = load_prompts(write()).resolve("greet", version="1.0.0")
    assert version.reference == "greet@1.0.0"
    assert version.description == "Greets."
    assert version.settings == {"temperature": 0.5}
    assert [m.role for m in version.messages] == ["system", "user"]
    assert version.variables["name"].is_required
    assert not version.variables["count"].is_required


def test_the_hash_changes_with_the_text_and_not_with_line_ends(write: Write) -> None:
    folder = write(BODY)
    path = folder / "greet" / "1.0.0.md"
    first = load_prompts(folder).find("greet").content_hash
    path.write_bytes(BODY.replace("\n", "\r\n").encode())
    assert load_prompts(folder).find("greet").content_hash == first
    path.write_text(BODY + "More\n")
    assert load_prompts(folder).find("greet").content_hash != first


def test_versions_sort_by_the_rules_of_semver() -> None:
    # Source: https://semver.org, section 11.
    ordered = [
        "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
        "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0", "2.0.0",
    ]  # fmt: skip
    shuffled = random.Random(4).sample(ordered, len(ordered))
    assert [v.text for v in sorted(map(SemVer, shuffled))] == ordered


def test_the_default_is_the_production_label_then_the_newest_release(write: Write) -> None:
    for version in ("1.9.0", "1.10.0", "2.0.0-rc.1"):
        folder = write(BODY, version=version)
    assert load_prompts(folder).resolve("greet").version == "1.10.0"
    (folder / "greet" / "labels.toml").write_text('production = "1.9.0"\ncanary = "2.0.0-rc.1"\n')
    library = load_prompts(folder)
    assert library.resolve("greet").version == "1.9.0"
    assert library.resolve("greet", label="canary").version == "2.0.0-rc.1"
    assert library.find("greet@canary") is library.find("greet@2.0.0-rc.1")


def test_a_prerelease_is_the_default_only_where_there_is_nothing_else(write: Write) -> None:
    assert load_prompts(write(BODY, version="1.0.0-rc.1")).find("greet").version == "1.0.0-rc.1"


def test_a_missing_folder_holds_no_prompts(tmp_path: Path) -> None:
    assert len(load_prompts(tmp_path / "nowhere")) == 0


def test_what_is_not_there_is_answered_with_the_nearest_name(write: Write) -> None:
    folder = write(BODY)
    (folder / "greet" / "labels.toml").write_text('production = "1.0.0"\n')
    library = load_prompts(folder)
    with pytest.raises(NotFound, match="Did you mean 'greet'"):
        library.resolve("great")
    with pytest.raises(NotFound, match=r"no version '9\.0\.0'; it has 1\.0\.0"):
        library.resolve("greet", version="9.0.0")
    with pytest.raises(NotFound, match="no version 'newest'"):
        library.resolve("greet", version="newest")
    with pytest.raises(NotFound, match="Did you mean 'production'"):
        library.resolve("greet", label="prodution")
    with pytest.raises(BadRequest, match="give one of them"):
        library.resolve("greet", version="1.0.0", label="production")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("## user\nHello\n", 1, "the first line must be +++"),
        ("", 1, "the first line must be +++"),
        ("+++\ndescription = 'x'\n## user\nHello\n", 1, "not closed"),
        (front("description = 'x'\nsettings = = 1"), 3, "not TOML"),
        (front("a = 'x'\n\n[b"), 4, "not TOML"),
        (front("descriptoin = 'x'"), 2, "did you mean 'description'"),
        (front("[settings]\nseed = 1\ntemprature = 1"), 4, "did you mean 'temperature'"),
        (front("[settings]\ntemperature = 3"), 3, "'settings.temperature'"),
        (front("[settings]\n\nseed = 'x'"), 4, "'settings.seed'"),
        (front("[variables.a]\ntype = 'text'", "{{ a }}"), 3, "'variables.a.type'"),
        (front("[variables.a]\ntpye = 'string'", "{{ a }}"), 3, "did you mean 'type'"),
        (front("[variables.for]\ntype = 'string'"), 2, "cannot be the name"),
        (front("[variables.a]\ntype = 'integer'\ndefault = 'x'", "{{ a }}"), 2, "must be an integer"),
        (front("[variables.a]\n[variables.a]"), 3, "not TOML"),
        (front("[output_schema]\ntype = 'objekt'"), 2, "not a JSON Schema"),
        (front("[output_schema]\n'$ref' = 'file:///etc/passwd'"), 2, "not a JSON Schema"),
        (front("[variables.name]\n", "Hi\n{{ nmae }} {{ name }}"), 7, "did you mean 'name'"),
        (front("[variables.name]\n[variables.b]", "{{ name }}"), 3, "'b' is declared but no message"),
        (front("", "one\n{{ two"), 6, "template:"),
        (front("", "one\n\n{% if x %}"), 7, "template:"),
        (front("", "{{ 'a' | nofilter }}"), 5, "nofilter"),
        (front("", "{{ range(9) }}"), 5, "may not use calls"),
        (front("", "{{ ''.__class__ }}"), 5, "may not read the attribute '__class__'"),
        (front("", "{% set a = 1 %}"), 5, "may not use {% set %}"),
        (front("", "{{ 'x' * 9 }}"), 5, "may not use the operator *"),
        (front("", "{{ 9 ** 9 }}"), 5, "may not use the operator **"),
        (front("", "{% include 'x' %}"), 5, "include 'x': There is no prompt 'x'"),
        (front("", "{% for a in 'x' %}{% for b in 'x' %}{% for c in 'x' %}{% endfor %}"
         "{% endfor %}{% endfor %}"), 5, "nested 2 deep"),
        ("+++\n+++\n\nHello\n## user\nHi\n", 4, "a message must begin"),
        ("+++\n+++\n", 3, "a message must begin"),
        ("+++\n+++\n## system\n\n## user\nHi\n", 3, "the message is empty"),
    ],
)  # fmt: skip
def test_a_prompt_that_cannot_be_used_is_refused_with_file_and_line(
    write: Write, text: str, line: int, says: str
) -> None:
    message = fault_of(write(text))
    assert f"greet/1.0.0.md:{line}: " in message
    assert says in message
    assert message.count("\n") == 0


def test_a_file_that_is_not_text_is_refused_with_its_line(write: Write) -> None:
    folder = write(BODY)
    (folder / "greet" / "1.0.0.md").write_bytes(b"+++\n+++\n## user\n\xff\n")
    assert "1.0.0.md:4: the file is not UTF-8" in fault_of(folder)


@pytest.mark.parametrize("version", ["1.0", "v1.0.0", "01.0.0", "1.0.0-", "newest"])
def test_a_file_must_be_named_after_a_semantic_version(write: Write, version: str) -> None:
    assert f"'{version}' is not a semantic version" in fault_of(write(BODY, version=version))


def test_two_files_of_one_version_are_refused(write: Write) -> None:
    write(BODY, version="1.0.0+a")
    message = fault_of(write(BODY, version="1.0.0+b"))
    assert "1.0.0+b.md:1: the version is there already: 1.0.0+a.md" in message


def test_a_prompt_name_has_no_capitals(write: Write) -> None:
    assert "lower case" in fault_of(write(BODY, name="Greet"))


@pytest.mark.parametrize(
    ("labels", "line", "says"),
    [
        ('# moved\nproduction = "1.1.0"\n', 2, "points to version '1.1.0', which is not there"),
        ("production = 1.0\n", 1, "points to version '1.0'"),
        ("[production]\n", 1, "not there"),
        ("production = \n", 1, "not TOML"),
        ('"1.0" = "1.0.0"\n', 1, "cannot be a label"),
    ],
)
def test_a_label_must_point_to_a_version_that_is_there(
    write: Write, labels: str, line: int, says: str
) -> None:
    folder = write(BODY)
    (folder / "greet" / "labels.toml").write_text(labels)
    message = fault_of(folder)
    assert f"labels.toml:{line}: " in message
    assert says in message


def test_a_label_to_a_version_with_a_fault_is_not_a_second_fault(write: Write) -> None:
    folder = write("no front matter")
    (folder / "greet" / "labels.toml").write_text('production = "1.0.0"\n')
    assert len(fault_of(folder).split("\n")) == 1


def test_every_fault_is_told_at_once_and_the_rest_still_loads(write: Write) -> None:
    write(BODY)
    write("no front matter", name="one")
    folder = write("no front matter", name="two")
    library, faults = inspect_prompts(folder)
    assert [line.split("/")[-2] for line in faults] == ["one", "two"]
    assert [prompt.name for prompt in library] == ["greet"]
    assert len(fault_of(folder).split("\n")) == 2


def test_the_prompts_of_the_quickstart_have_no_faults() -> None:
    folder = Path(__file__).parents[2] / "examples" / "quickstart" / "prompts"
    library = load_prompts(folder)
    assert {p.name for p in library} == {"assistant", "asistan", "extract"}
    assert library.find("assistant").version == "1.1.0"


LINES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20), max_size=8
)


@given(LINES, LINES)
def test_the_hash_is_that_of_the_text_alone(lines: list[str], others: list[str]) -> None:
    text = front("", "\n".join(lines))
    assert content_hash(text) == content_hash(text.replace("\n", "\r\n"))
    other = front("", "\n".join(others))
    assert (content_hash(text) == content_hash(other)) == (text == other)
    try:
        draft = parse_draft(text, "greet", "1.0.0", "here")
    except ConfigError:
        return
    assert draft.content_hash == content_hash(text)
    assert draft.content_hash == parse_draft(text, "other", "2.0.0", "there").content_hash
