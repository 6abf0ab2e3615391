"""Rewriting by rules: follow-ups get their subject, questions that ask several things are split."""

from __future__ import annotations

import pytest

from santral.retrieval.search.question import Question, Turn, bounded
from santral.retrieval.search.rewrite import decompose, leans_back, rewrite, standalone


def after(text: str, *said: str) -> str:
    turns = tuple(Turn("user", one) for one in said)
    return standalone(Question(text, turns))


@pytest.mark.parametrize(
    ("text", "said", "subject"),
    [
        ("peki ya fiyatı?", "Standart paket neleri içeriyor?", "paket"),
        ("Peki bunun süresi ne kadar?", "Yıllık izin nasıl istenir?", "yillik"),
        ("and what about contractors?", "How long is annual leave for employees?", "leave"),
        ("Who approves it?", "How do I request a security badge?", "badge"),
        ("Onu kim onaylar?", "Seyahat avansı nasıl alınır?", "seyahat"),
        ("Why?", "The deployment of the gateway failed on Friday", "gateway"),
    ],
)
def test_a_follow_up_takes_its_subject_from_the_last_question(
    text: str, said: str, subject: str
) -> None:
    assert leans_back(text)
    assert subject in after(text, said).split()


def test_a_follow_up_of_a_follow_up_reaches_back_to_the_subject() -> None:
    found = after("And why?", "How are backups of the database encrypted?", "And when?")
    assert "backups" in found.split()


@pytest.mark.parametrize(
    "text",
    [
        "How are backups of the control database encrypted at rest?",
        "Seyahat masrafları hangi tarihe kadar ödenir?",
    ],
)
def test_a_question_that_stands_alone_stays_as_it_is(text: str) -> None:
    assert not leans_back(text)
    assert rewrite(Question(text, (Turn("user", "What is annual leave?"),))) == [text]


def test_without_a_conversation_nothing_is_added() -> None:
    assert standalone(Question("Why?")) == "Why?"
    assert standalone(Question("Why?", (Turn("assistant", "Hello, how can I help?"),))) == "Why?"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Compare annual leave with sick leave", ["annual leave", "sick leave"]),
        ("What is the difference between Redis and Valkey?", ["Redis", "Valkey"]),
        ("Redis vs Valkey", ["Redis", "Valkey"]),
        ("kıdem tazminatı ve ihbar tazminatı nedir?",
         ["kıdem tazminatı nedir", "ihbar tazminatı nedir"]),
        ("izin ile rapor arasındaki fark nedir", ["izin", "rapor"]),
        ("What is a quota and a budget?", ["What is a quota", "What is a budget"]),
        ("When does leave expire? Who approves travel?",
         ["When does leave expire?", "Who approves travel?"]),
        ("How long is the notice period?", ["How long is the notice period?"]),
        ("What are the rules and the exceptions that hold for travel abroad in winter?",
         ["What are the rules and the exceptions that hold for travel abroad in winter?"]),
    ],
)  # fmt: skip
def test_a_question_that_asks_several_things_is_taken_apart(text: str, parts: list[str]) -> None:
    assert decompose(text) == parts


def test_the_whole_question_is_searched_for_beside_its_parts() -> None:
    assert rewrite(Question("Redis vs Valkey")) == ["Redis vs Valkey", "Redis", "Valkey"]


def test_a_long_question_keeps_its_beginning_and_its_end() -> None:
    text = bounded("first " + "x" * 5_000 + "\n last")
    assert text.startswith("first")
    assert text.endswith("last")
    assert len(text) == 2_001
