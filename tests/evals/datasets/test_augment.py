"""Augmentation, generation and export: what is made says where it comes from."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.evals.asking import ScriptedAsk
from tests.evals.datasets.conftest import NOW

from santral.errors import BadRequest
from santral.evals.answer import Answer, Question
from santral.evals.datasets.augment import Augmented, augment
from santral.evals.datasets.dataset import Provenance, Revision
from santral.evals.datasets.export import format_of, write_examples
from santral.evals.datasets.files import read_examples
from santral.evals.datasets.generate import (
    Generated,
    generate_by_model,
    generate_by_rules,
    supported,
)
from santral.evals.datasets.noise import NoiseKind, noisy
from santral.evals.datasets.purse import Purse
from santral.evals.example import Example
from santral.retrieval.evaluation.generate import Passage
from santral.retrieval.ingest.sketch import similarity, sketch_of_letters

pytestmark = pytest.mark.anyio

TEXT = "Ayşe'nin siparişi 14 gün içinde iade edilebilir mi?"


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def held(example: Example) -> Revision:
    return Revision(
        example_id=example.id,
        revision=1,
        kind="create",
        content=example,
        content_hash="",
        split=example.split,
        provenance=Provenance(origin="trace", source="t1", user="u-17"),
        subject="u-17",
        created_by="",
        created_at=NOW,
    )


PARENT = held(Example(id="a", input=TEXT, expected="Ayşe iade edebilir.", split="test"))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("diacritics", "Ayse'nin siparisi 14 gun icinde iade edilebilir mi?"),
        ("punctuation", "Ayşenin siparişi 14 gün içinde iade edilebilir mi"),
        ("case", "ayşe'nin siparişi 14 gün içinde iade edilebilir mi?"),
    ],
)
def test_noise_takes_what_hurried_people_leave_out(kind: NoiseKind, expected: str) -> None:
    assert noisy(TEXT, kind, "tr", rng()) == expected


def test_typos_and_spaces_leave_a_text_that_is_nearly_the_same() -> None:
    for kind in ("typos", "whitespace"):
        made = noisy(TEXT, kind, "tr", rng())
        one, two = sketch_of_letters(TEXT), sketch_of_letters(made)
        assert made != TEXT
        assert one is not None
        assert two is not None
        assert similarity(one, two[None, :])[0] > 0.5


def test_numbers_keep_their_point() -> None:
    assert noisy("3.5 TL, tamam.", "punctuation", "tr", rng()) == "3.5 TL tamam"


async def test_children_are_of_one_family_and_one_split_with_their_parent() -> None:
    made = await augment([PARENT], ["noise:diacritics", "swap:names"], rng(), per_example=2)
    (parent, _), *children = made.made
    assert parent.cluster == "a"
    assert [child.id for child, _ in children] == [
        "a~noise:diacritics-1", "a~swap:names-1", "a~swap:names-2",
    ]  # fmt: skip
    for child, origin in children:
        assert (child.cluster, child.split) == ("a", "test")
        assert (origin.origin, origin.source, origin.user) == ("augmented", "a", "u-17")
    assert made.left_out == {"nothing to change": 1}


async def test_a_swap_reaches_the_answer_too() -> None:
    made = await augment([PARENT], ["swap:names"], rng())
    child = made.made[1][0]
    name = str(child.input).split("'")[0]
    assert child.expected == f"{name} iade edebilir."
    assert child.metadata["swap_names"].startswith("turkish_women>")  # type: ignore[union-attr]


def paraphraser(said: str, same: str = "yes") -> ScriptedAsk:
    def script(question: Question) -> str:
        return same if "yes or no" in question.messages[0]["content"] else said

    return ScriptedAsk(script)


async def paraphrased(ask: ScriptedAsk, purse: Purse | None = None) -> Augmented:
    return await augment([PARENT], ["paraphrase"], rng(), ask=ask, route="writer", purse=purse)


async def test_a_paraphrase_is_kept_when_it_means_the_same() -> None:
    ask = paraphraser("Ayşe aldığı ürünü 14 günde geri verebilir mi?")
    made = await paraphrased(ask)
    assert made.made[1][0].input == "Ayşe aldığı ürünü 14 günde geri verebilir mi?"
    assert made.cost_nanousd == 2_000
    assert ask.asked[0].model == "writer"


@pytest.mark.parametrize(
    ("said", "same", "fault"),
    [
        (TEXT, "yes", "the same words"),
        ("Ürünü geri verebilir mi?", "yes", "a number is missing or new"),
        ("14 gün sonra kargo gelir mi?", "No.", "another meaning"),
        ("", "yes", "no answer"),
    ],
)
async def test_a_paraphrase_that_is_none_is_left_out(said: str, same: str, fault: str) -> None:
    made = await paraphrased(paraphraser(said, same))
    assert (made.made, made.left_out) == ([], {fault: 1})


async def test_a_purse_ends_and_an_unknown_price_is_said() -> None:
    ask = paraphraser("Ayşe 14 günde geri verir mi?")
    spent = Purse(1)
    spent.spent_nanousd = 1
    assert (await paraphrased(ask, spent)).made == []
    assert ask.asked == []
    unknown = ScriptedAsk(lambda _: "x", cost_nanousd=None)
    with pytest.raises(BadRequest, match="price"):
        await paraphrased(unknown, Purse(1_000))


async def test_ways_that_are_none_are_named() -> None:
    with pytest.raises(BadRequest, match="noise:typos"):
        await augment([PARENT], ["noise:x"], rng())
    with pytest.raises(BadRequest, match="--route"):
        await augment([PARENT], ["paraphrase"], rng())


PASSAGES = [
    Passage(
        "returns.md", "en", "Returns", "A return is a parcel that a customer sends back to us."
    ),
    Passage("fees.md", "en", "Fees", "The fee for a return from abroad is 12 euros per parcel."),
]


def test_rules_make_examples_with_document_and_answer() -> None:
    made = generate_by_rules(PASSAGES, "help", 5, rng())
    by_question = {example.input: example for example, _ in made.made}
    asked = by_question["What is A return?"]
    assert asked.relevant == ["returns.md"]
    assert asked.expected == PASSAGES[0].text
    assert made.made[0][1].origin == "generated"


def writer(question: str, answer: str) -> ScriptedAsk:
    def script(asked: Question) -> str:
        return question if "Write one question" in asked.messages[0]["content"] else answer

    return ScriptedAsk(script)


async def generated(
    ask: ScriptedAsk, passages: list[Passage], most: int | None = None
) -> Generated:
    return await generate_by_model(
        passages, "help", 5, rng(), ask=ask, route="writer", purse=Purse(most)
    )


async def test_a_model_s_answer_is_kept_when_the_passage_supports_it() -> None:
    made = await generated(writer("What does it cost?", "The fee is 12 euros."), PASSAGES[1:])
    ((example, origin),) = made.made
    assert (example.input, example.relevant) == ("What does it cost?", ["fees.md"])
    assert (origin.source, origin.how) == ("help/fees.md", "model:writer")
    assert made.cost_nanousd == 2_000


@pytest.mark.parametrize(
    ("question", "answer", "fault"),
    [
        ("Not a question", "x", "no question"),
        ("What does it cost?", "NONE", "not answered by the passage"),
        (
            "What does it cost?",
            "Shipping takes nine weeks by boat.",
            "the passage does not support the answer",
        ),
    ],
)
async def test_what_is_not_in_the_passage_is_left_out(
    question: str, answer: str, fault: str
) -> None:
    made = await generated(writer(question, answer), PASSAGES[1:])
    assert (made.made, made.left_out) == ([], {fault: 1})


async def test_one_question_is_kept_once_and_the_purse_ends_it() -> None:
    ask = writer("What does it cost to send it?", "parcel")
    assert (await generated(ask, PASSAGES)).left_out == {"nearly the same as another": 1}
    assert len((await generated(ask, PASSAGES, 1)).made) == 1
    failing = ScriptedAsk(lambda _: Answer(error="timeout"))
    assert (await generated(failing, PASSAGES)).left_out == {"no answer": 2}


def test_support_counts_telling_words() -> None:
    assert supported("The fees are 12 euros", "The fee is 12 euros") == 1.0
    assert supported("İadeler ücretlidir", "İade ücreti 12 euro") == pytest.approx(0.5)


EXAMPLES = [
    Example(
        id="a",
        input=[{"role": "user", "content": "Kaç gün?"}],
        expected='14 "gün"\nsonra',
        relevant=["a.md", "b.md"],
        metadata={"topic": "iade", "rejected": "bilmem"},
        split="test",
    ),
    Example(id="b", input="Nerede?"),
]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_what_is_exported_reads_back_as_it_was(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"out.{ending}"
    assert write_examples(path, EXAMPLES, format_of(path)) == 2
    assert read_examples(path) == EXAMPLES
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("- one\n- two", "'- one\n- two"),
        ("\t=1", "'\t=1"),
        ("'@home", "''@home"),
        ("-5.5", "-5.5"),
        ("'quoted'", "'quoted'"),
    ],
)
def test_no_cell_is_a_formula_and_each_reads_back(said: str, written: str, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    known = [Example(id="a", input=said, expected="x")]
    write_examples(path, known, "csv")
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["input"] == written
    assert read_examples(path) == known


def test_training_files_hold_what_fits(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    assert write_examples(path, EXAMPLES, format_of(path, "chat")) == 1
    assert json.loads(path.read_text()) == {
        "messages": [
            {"role": "user", "content": "Kaç gün?"},
            {"role": "assistant", "content": '14 "gün"\nsonra'},
        ]
    }
    assert write_examples(path, EXAMPLES, format_of(path, "dpo")) == 1
    assert json.loads(path.read_text())["non_preferred_output"][0]["content"] == "bilmem"
    with pytest.raises(BadRequest, match=r"metadata\.rejected"):
        write_examples(tmp_path / "none.jsonl", EXAMPLES[1:], "dpo")
    with pytest.raises(BadRequest, match="no format"):
        format_of(tmp_path / "x.xlsx")
