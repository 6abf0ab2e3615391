from __future__ import annotations

import re
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.console.collections import (
    COLLECTION_STATES,
    DOCUMENT_STATES,
    SIGNALS,
    VERSION_STATES,
)
from santral.console.datasets import DIFFERENCES, ORIGINS, REVISIONS
from santral.console.evals import OUTCOMES, RUN_STATES, TIERS
from santral.console.experiments import KINDS, VERDICTS
from santral.console.experiments import STATES as EXPERIMENT_STATES
from santral.console.frame import DONE, MENU
from santral.console.jobs import STATES, TASKS
from santral.console.ledger import VIEWS
from santral.console.monitors import TONE
from santral.console.prompts import CHANGES, DEEDS
from santral.console.review import ITEM_STATES
from santral.console.words import LANGUAGES, WORDS, Words, choose_language
from santral.quota.rule import MEASURES, SCOPE_KINDS, WINDOWS
from santral.wire.usage import CLASSES

SOURCES = [
    file.read_text(encoding="utf-8")
    for folder in ("templates", "")
    for file in (resources.files("santral.console") / folder).iterdir()
    if file.name.endswith((".html", ".py")) and not file.name.endswith("words.py")
]


def used_words() -> set[str]:
    found = {
        word
        for text in SOURCES
        for word in re.findall(r"\bt(?:\.small)?\(['\"](\w+)['\"][,)]", text)
    }
    families = {
        "state": ("on", "off", "revoked", "expired"),
        "scope": SCOPE_KINDS,
        "measure": MEASURES,
        "per": WINDOWS[1:],
        "view": VIEWS,
        "task": TASKS,
        "job": STATES,
        "collection": COLLECTION_STATES,
        "document": DOCUMENT_STATES,
        "version": VERSION_STATES,
        "weight": SIGNALS,
        "change": CHANGES,
        "revision": REVISIONS,
        "dataset": DIFFERENCES,
        "origin": ORIGINS,
        "deed": DEEDS,
        "eval": RUN_STATES,
        "tier": TIERS,
        "outcome": OUTCOMES,
        "verdict": TONE,
        "item": ITEM_STATES,
        "value": ("first", "second", "tie"),
        "experiment": (*EXPERIMENT_STATES, "declared"),
        "found": VERDICTS,
        "logged": KINDS,
    }
    found |= {f"{family}_{name}" for family, names in families.items() for name in names}
    return (
        found | set(CLASSES) | DONE | {word for _, word, _ in MENU} | {"w1h", "w24h", "w7d", "w30d"}
    )


def test_every_word_is_there_in_both_languages_and_used() -> None:
    assert used_words() == set(WORDS)
    for key, texts in WORDS.items():
        assert all(text.strip() for text in texts), key
        fields = [set(re.findall(r"\{(\w+)\}", text)) for text in texts]
        assert fields[0] == fields[1], key


def test_no_page_takes_the_word_of_another() -> None:
    """The catalogues are put together by key: the same key in two of them would change a page unseen."""
    package = resources.files("santral.console")
    keys = [
        key
        for file in package.iterdir()
        if file.name.endswith("words.py")
        for key in re.findall(r'^    "(\w+)": \(', file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert [key for key in set(keys) if keys.count(key) > 1] == []


@pytest.mark.parametrize(
    ("asked", "kept", "accepted", "expected"),
    [
        ("", "", "", "en"),
        ("", "", "tr-TR,tr;q=0.9,en;q=0.8", "tr"),
        ("", "", "de,fr;q=0.9,tr;q=0.1", "tr"),
        ("", "", "de", "en"),
        ("", "", "tr;q=0,en;q=0.1", "en"),
        ("", "tr", "en", "tr"),
        ("en", "tr", "tr", "en"),
        ("xx", "yy", "tr", "tr"),
        ("", "", "tr;q=abc,,;;;", "en"),
    ],
)
def test_the_language_is_asked_for_kept_or_accepted(
    asked: str, kept: str, accepted: str, expected: str
) -> None:
    assert choose_language(asked, kept, accepted) == expected


@given(st.text(), st.text(), st.text())
def test_no_header_breaks_the_choice(asked: str, kept: str, accepted: str) -> None:
    assert choose_language(asked, kept, accepted) in LANGUAGES


def test_turkish_writes_numbers_and_small_letters_its_own_way() -> None:
    turkish, english = Words("tr"), Words("en")
    assert (turkish.count(12345), english.count(12345)) == ("12.345", "12,345")
    assert (turkish.duration(1_840_000), english.duration(1_840_000)) == ("1,84 s", "1.84 s")
    assert (turkish.share(1, 8), english.share(1, 8)) == ("%12", "12 %")
    assert (english.share(239, 240), english.share(0, 5), english.share(1, 0)) == (
        "99.6 %",
        "0 %",
        "–",
    )
    assert (turkish.small("ttft"), english.small("ttft")) == ("ilk token", "first token")
