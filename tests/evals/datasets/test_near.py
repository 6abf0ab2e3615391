"""Near-duplicates, leaks, splits and personal data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.errors import BadRequest
from santral.evals.datasets.near import find_alike, find_exposed, find_leaks
from santral.evals.datasets.scan import masked_example, scan_examples
from santral.evals.datasets.splits import assign_splits, parse_shares
from santral.evals.example import Example

ASKED = "How many disposable cards can I make in a day?"
NEARLY = "How many disposable cards can I make in a single day?"
OTHER = "Where do I see my exchange rate?"
TURKISH = "Siparişimi kaç gün içinde iade edebilirim?"
TURKISH_NEARLY = "SIPARISIMI kac gun icinde iade edebilirim"


def example(id_: str, text: str, split: str = "", *, cluster: str = "") -> Example:
    return Example(id=id_, input=text, split=split, cluster=cluster)


def test_questions_that_are_nearly_the_same_are_found() -> None:
    texts = {"a": ASKED, "b": OTHER, "c": NEARLY, "d": TURKISH, "e": TURKISH_NEARLY}
    found = find_alike([example(id_, text) for id_, text in texts.items()])
    assert {(pair.example, pair.original) for pair in found.pairs} == {("c", "a"), ("e", "d")}
    assert found.group_of("c") == found.group_of("a") == "a"
    assert found.group_of("b") == "b"
    assert all(0.7 <= pair.similarity <= 1 for pair in found.pairs)


def test_a_test_that_was_trained_on_is_a_leak() -> None:
    examples = [
        example("a", ASKED, "train"),
        example("b", NEARLY, "test"),
        example("c", OTHER, "test"),
        example("d", OTHER + " ", "test"),
    ]
    (leak,) = find_leaks(examples, find_alike(examples))
    assert (leak.one, leak.other, leak.splits) == ("a", "b", ("train", "test"))


def test_what_a_prompt_gives_away_is_found() -> None:
    examples = [
        Example(id="a", input=TURKISH, expected="On dört gün içinde iade edilir."),
        Example(id="b", input=OTHER, expected="yes"),
    ]
    prompts = {"support": f"Example:\nuser: {TURKISH}\nassistant: on dört gün içinde iade edilir"}
    found = find_exposed(examples, prompts)
    assert {(one.example, one.what) for one in found} == {("a", "input"), ("a", "expected")}


def test_personal_data_is_counted_and_masked() -> None:
    held = Example(
        id="a",
        input="Adresim ayse@example.com, tekrar: ayse@example.com",
        expected="ayse@example.com not edildi",
        metadata={"n": 1},
    )
    found = scan_examples([held, example("b", OTHER)])
    assert found.kinds == {"EMAIL": 1}
    assert [(place.example, place.field) for place in found.places] == [
        ("a", "input"),
        ("a", "expected"),
    ]
    masked = masked_example(held)
    assert masked.input == "Adresim [EMAIL_1], tekrar: [EMAIL_1]"
    assert masked.expected == "[EMAIL_1] not edildi"
    assert masked.metadata == {"n": 1}
    assert scan_examples([masked]).kinds == {}


def split(
    examples: list[Example], shares: str = "train=0.8,test=0.2", **options: object
) -> dict[str, str]:
    return assign_splits(examples, parse_shares(shares), find_alike(examples), **options)  # type: ignore[arg-type]


def numbered(count: int) -> list[Example]:
    return [
        example(f"q{n}", f"{hex(n * 2654435761 % 2**32)} {hex(n * 40503 % 2**24)}")
        for n in range(count)
    ]


def test_shares_are_kept_and_later_examples_move_none() -> None:
    some = numbered(1_000)
    before = split(some)
    assert 160 <= sum(name == "test" for name in before.values()) <= 240
    after = split([*some, *(example(f"z{n}", f"{n * 7919:x} zzz {n:b}") for n in range(200))])
    assert {id_: after[id_] for id_ in before} == before


def test_a_family_lands_in_one_split() -> None:
    families = [
        example(
            f"f{n}-{m}",
            f"{hex(n * 2654435761 % 2**32)} {m * 'x'}{hex(m * 97 + n)}",
            cluster=f"f{n}",
        )
        for n in range(60)
        for m in range(3)
    ]
    found = split([*families, example("copy", families[0].input + "!")])  # type: ignore[operator]
    assert all(len({found[f"f{n}-{m}"] for m in range(3)}) == 1 for n in range(60))
    assert found["copy"] == found["f0-0"]
    assert len(set(found.values())) == 2


def test_a_child_follows_the_example_that_it_was_made_from() -> None:
    some = numbered(40)
    children = [example(f"{one.id}~x", f"{one.id} child {one.id}", cluster=one.id) for one in some]
    found = split([*some, *children], "train=0.5,test=0.5")
    assert all(found[one.id] == found[f"{one.id}~x"] for one in some)


def test_strata_have_the_shares_each() -> None:
    some = [
        Example(id=one.id, input=one.input, metadata={"topic": "rare" if n < 20 else "common"})
        for n, one in enumerate(numbered(200))
    ]
    found = split(some, "train=0.5,test=0.5", stratify="topic")
    assert sum(found[f"q{n}"] == "test" for n in range(20)) == 10
    assert sum(name == "test" for name in found.values()) == 100


def test_a_split_that_is_there_stays_unless_it_is_made_anew() -> None:
    some = [example("a", ASKED, "test"), example("b", NEARLY), *numbered(20)]
    assert split(some)["a"] == split(some)["b"] == "test"
    anew = split(some, "train=0.99,test=0.01", is_kept=False)
    assert anew["a"] == anew["b"] == "train"


@pytest.mark.parametrize("text", ["train=0.5", "train=x,test=1", "train,test", "a=0.5,b=-0.5"])
def test_shares_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match=r"share|add up"):
        parse_shares(text)


@given(st.lists(st.text(max_size=30), max_size=12))
def test_every_example_gets_one_of_the_splits(texts: list[str]) -> None:
    some = [example(f"q{n}", text) for n, text in enumerate(texts)]
    found = split(some)
    assert set(found) == {one.id for one in some}
    assert set(found.values()) <= {"train", "test"}
