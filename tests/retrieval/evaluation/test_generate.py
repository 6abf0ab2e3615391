"""Questions made by rules: each is answered by its quotation, in its document's language."""

from __future__ import annotations

import numpy as np
import pytest

from santral.errors import ProviderFailed
from santral.retrieval.evaluation.generate import Passage, question_by_model, questions_by_rules
from santral.retrieval.evaluation.run import holds

ENGLISH = Passage(
    "d1", "en", "Operations > The spool of a worker",
    "The spool is a folder of segment files that survives a kill. A segment holds at most "
    "8 mebibytes of finished requests. Short one. | a | table | row of several cells 12 |",
)  # fmt: skip
TURKISH = Passage(
    "d2", "tr", "Nöbet > Nöbet ücreti",
    "Olay yöneticisi, olay sırasında kararları veren ve işleri dağıtan kişidir. Hafta içi her nöbet "
    "gecesi için çalışana 900 TL ödenir.",
)  # fmt: skip


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_definitions_numbers_and_headings_are_asked_about() -> None:
    asked = {case.question: case for case in questions_by_rules([ENGLISH], 50, rng())}
    assert "What is spool?" in asked or "What is The spool?" in asked
    assert "A segment holds at most how many?" in asked
    assert "The spool of a worker?" in asked


def test_turkish_documents_are_asked_in_turkish() -> None:
    asked = {case.question for case in questions_by_rules([TURKISH], 50, rng())}
    assert "Olay yöneticisi nedir?" in asked
    assert "Hafta içi her nöbet gecesi için çalışana kaç?" in asked
    assert "Nöbet ücreti?" in asked


def test_every_quotation_stands_in_its_passage() -> None:
    cases = questions_by_rules([ENGLISH, TURKISH], 50, rng())
    for case in cases:
        (answer,) = case.relevant
        passage = ENGLISH if answer.document == "d1" else TURKISH
        assert holds(answer, passage.text)
        assert case.language == passage.language


def test_documents_take_turns_and_no_question_comes_twice() -> None:
    cases = questions_by_rules([ENGLISH, ENGLISH, TURKISH], 4, rng())
    assert {case.relevant[0].document for case in cases[:2]} == {"d1", "d2"}
    every = [case.question for case in questions_by_rules([ENGLISH, ENGLISH], 50, rng())]
    assert len(every) == len(set(every))
    assert questions_by_rules([], 5, rng()) == []


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_model_is_asked_in_the_language_of_the_document(anyio_backend: str) -> None:
    said: list[str] = []

    async def ask(prompt: str) -> str:
        said.append(prompt)
        return "Gece nöbeti için ne kadar verilir?"

    case = await question_by_model(ask, TURKISH)
    assert case is not None
    assert case.question == "Gece nöbeti için ne kadar verilir?"
    assert "Yalnızca soruyu yaz" in said[0]
    assert "900 TL ödenir" in said[0]

    async def chatter(prompt: str) -> str:
        return "Sure! Here is a question for you."

    assert await question_by_model(chatter, ENGLISH) is None

    async def away(prompt: str) -> str:
        raise ProviderFailed("It is away.")

    with pytest.raises(ProviderFailed):
        await question_by_model(away, ENGLISH)
