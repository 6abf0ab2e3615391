"""What search sees of a text, however it is typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.retrieval.analysis.analyse import (
    detect_language,
    fold,
    ngrams,
    query_terms,
    sentences,
    terms,
)
from santral.retrieval.analysis.stem import english_stem

TURKISH_LETTERS = str.maketrans("çğıöşüÇĞİÖŞÜ", "cgiosuCGIOSU")


def turkish_upper(text: str) -> str:
    return text.replace("i", "İ").replace("ı", "I").upper()


@pytest.mark.parametrize(
    "text",
    ["Iğdır'da kışın yıllık izin", "İstanbul’da uzaktan çalışma", "Şirketin ığdır ofisi açıldı"],
)
def test_turkish_meets_itself_in_capitals_and_without_turkish_letters(text: str) -> None:
    expected = terms(text, "tr")
    assert terms(turkish_upper(text), "tr") == expected
    assert terms(text.translate(TURKISH_LETTERS), "tr") == expected
    assert ngrams(turkish_upper(text)) == ngrams(text)
    assert ngrams(text.translate(TURKISH_LETTERS)) == ngrams(text)


def test_a_suffix_behind_an_apostrophe_is_cut() -> None:
    assert terms("İzmir'deki İzmir'in İzmir’e", "tr") == ["izmir"] * 3
    assert terms("the company's O'Brien", "en") == terms("company brien", "en")


def test_turkish_keeps_five_letters_of_a_word() -> None:
    assert terms("kitaplarımızdan kitapçı", "tr") == ["kitap", "kitap"]


@pytest.mark.parametrize(
    ("words", "stem"),
    [
        (("connect", "connected", "connecting", "connection", "connections"), "connect"),
        (("hopping", "hopped", "hops"), "hop"),
        (("relational", "relate", "relates"), "relat"),
        (("policies", "policy"), "polici"),
        (("generalization", "generalize"), "general"),
        (("proceeded", "proceed", "proceeds"), "proceed"),
        (("bus",), "bus"),
        (("gas",), "gas"),
        (("sky",), "sky"),
        (("x86",), "x86"),
    ],
)
def test_english_forms_share_a_stem(words: tuple[str, ...], stem: str) -> None:
    assert {english_stem(word) for word in words} == {stem}


def test_stop_words_are_left_out_but_a_question_of_nothing_else_keeps_them() -> None:
    assert terms("what is the leave of this", "en") == ["leav"]
    assert query_terms("what is this?", ["en"]) == ["what", "is", "this"]


def test_a_question_is_read_in_every_language_of_the_collection() -> None:
    assert query_terms("annual leave", ["en", "tr"]) == ["annual", "leav", "annua", "leave"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The notice period of this contract is two months and it can be extended.", "en"),
        ("Bu sözleşmenin ihbar süresi iki aydır ve uzatılabilir.", "tr"),
        ("yillik izin kac gun ve nasil kullanilir", "tr"),
        ("YILLIK İZİN HAKKIM NE KADAR?", "tr"),
        ("How many days of leave do I get?", "en"),
        ("Die Kündigungsfrist beträgt zwei Monate und kann verlängert werden.", "other"),
        ("Le délai de préavis est de deux mois et peut être prolongé par les parties.", "other"),
        ("Срок уведомления составляет два месяца", "other"),
        ("12345 67", "other"),
        ("", "other"),
    ],
)
def test_the_language_of_a_text_is_told(text: str, language: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Ayşe geldi. Prof. Ali gitti.", ["Dr. Ayşe geldi.", "Prof. Ali gitti."]),
        (
            "Bkz. Madde 5. T.C. Kimlik No. 12 yazılır.",
            ["Bkz. Madde 5. T.C. Kimlik No. 12 yazılır."],
        ),
        ("It costs 3.14 dollars. Really? Yes!", ["It costs 3.14 dollars.", "Really?", "Yes!"]),
        ("The answer is no. Then we left.", ["The answer is no.", "Then we left."]),
        ("Toplantı 3. katta yapıldı. Bitti.", ["Toplantı 3. katta yapıldı.", "Bitti."]),
        ("See e.g. Smith et al. (2020). Next.", ["See e.g. Smith et al. (2020).", "Next."]),
        ("He said “Go.” She went.", ["He said “Go.”", "She went."]),
        ("In 2024. We grew.", ["In 2024.", "We grew."]),
        ("First line\n\nSecond line", ["First line", "Second line"]),
        ("  ", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(max_size=300))
def test_no_letter_is_lost_between_sentences(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@given(st.text(max_size=200))
def test_any_text_can_be_analysed_and_folding_twice_changes_nothing(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    for language in ("tr", "en", "other"):
        assert all(terms(text, language))
    assert all(0 < len(gram) <= 4 for gram in ngrams(text))


def test_grams_cross_words_and_short_texts_have_one() -> None:
    assert ngrams("iş günü") == [" is ", "is g", "s gu", " gun", "gunu", "unu "]
    assert ngrams("a") == [" a "]
    assert ngrams("?!") == []
