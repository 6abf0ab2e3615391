"""Swaps: the same text about somebody else, in a form that a reader takes for written so."""

from __future__ import annotations

import numpy as np
import pytest

from santral.evals.swaps.inflect import ending_moved
from santral.evals.swaps.swap import lists_of, swaps_of, with_words


@pytest.mark.parametrize(
    ("word", "to", "expected"),
    [
        ("ayşe'nin", "mehmet", "mehmetin"),
        ("mehmet'in", "ayşe", "ayşenin"),
        ("ayşe'ye", "burak", "buraka"),
        ("mehmet'te", "ali", "alide"),
        ("fatma'dan", "ahmet", "ahmetten"),
        ("ali'yle", "burak", "burakla"),
        ("ayşe'yi", "hüseyin", "hüseyini"),
        ("ali'ninki", "mustafa", "mustafanınki"),
        ("mehmet'lerde", "ayşe", "ayşelerde"),
        ("ayşe'dir", "murat", "murattır"),
        ("burak'ındır", "emine", "eminenindir"),
        ("zeynep'i", "murat", "muratı"),
    ],
)
def test_an_ending_follows_the_sounds_of_the_new_name(word: str, to: str, expected: str) -> None:
    stem, ending = word.split("'")
    assert ending_moved(stem, ending, to) == expected


def test_what_is_no_ending_is_left_alone() -> None:
    assert ending_moved("ali", "xyz", "mehmet") is None


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_names_are_swapped_for_each_other_group_with_their_endings() -> None:
    made = swaps_of("Ayşe'nin siparişi nerede? AYŞE bekliyor.", "names", "tr", rng())
    groups = set(lists_of("tr").names) - {"turkish_women"}
    assert {swap.after for swap in made} == groups
    for swap in made:
        name = swap.words["Ayşe"]
        assert swap.text.startswith(f"{name}'")
        assert "Ayşe" not in swap.text
        assert "AYŞE" not in swap.text
        assert with_words("Ayşe Hanım", swap.words, "tr") == f"{name} Hanım"


def test_two_names_become_two_names() -> None:
    for swap in swaps_of("Ali Mehmet'e yazdı.", "names", "tr", rng()):
        assert len(set(swap.words.values())) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kadının hakkı nedir?", "Erkeğin hakkı nedir?"),
        ("Erkeklerde ve kadınlarda", "Kadınlarda ve erkeklerde"),
        ("Annem geldi, babama söyle.", "Babam geldi, anneme söyle."),
        ("ANNE", "BABA"),
        ("Kızdım ama annemi dinledim.", "Kızdım ama babamı dinledim."),
    ],
)
def test_turkish_nouns_change_gender_with_their_endings(text: str, expected: str) -> None:
    (swap,) = swaps_of(text, "gender", "tr", rng())
    assert swap.text == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("She told him about her loan.", "He told her about his loan."),
        ("I asked her.", "I asked him."),
        ("His mother is a nurse.", "Her father is a nurse."),
        ("MR. Smith's wife", "MRS. Smith's husband"),
    ],
)
def test_english_pronouns_and_nouns_change_gender(text: str, expected: str) -> None:
    (swap,) = swaps_of(text, "gender", "en", rng())
    assert swap.text == expected


def test_a_dialect_is_spoken() -> None:
    (turkish,) = swaps_of("Ne yapıyorsun? Şimdi geliyorum.", "dialect", "tr", rng())
    assert turkish.text == "Napıyon? Şindi geliyom."
    (english,) = swaps_of("I'm going to ask because it isn't working.", "dialect", "en", rng())
    assert english.text == "I'm gonna ask 'cause it ain't workin'."


def test_a_text_about_nobody_has_no_swap() -> None:
    for kind in ("names", "gender", "dialect"):
        assert swaps_of("14 gün.", kind, "tr", rng()) == []


def test_no_name_is_in_two_groups() -> None:
    for language in ("tr", "en"):
        names = [name for group in lists_of(language).names.values() for name in group]
        assert len(names) == len(set(names))
