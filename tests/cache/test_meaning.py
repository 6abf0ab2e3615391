"""Gates: what keeps two questions apart that sound alike, in English and Turkish."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.cache.meaning.embed import DIMENSIONS, embed
from santral.cache.meaning.gates import closed_gate
from santral.cache.meaning.letters import fold
from santral.cache.meaning.signature import read

APART = [
    ("numbers", "What is the limit for 2 transfers?", "What is the limit for 3 transfers?"),
    ("numbers", "What is the limit for two transfers?", "What is the limit for three transfers?"),
    ("numbers", "Raise it from 5 to 7", "Raise it from 7 to 5"),
    ("numbers", "İki kişilik oda var mı?", "Üç kişilik oda var mı?"),
    ("numbers", "What is due on 12/05/2026?", "What is due on 05/12/2026?"),
    ("content", "5 kg un kaç TL", "5 g un kaç TL"),
    ("content", "Is it 20 % off?", "Is it 20 $ off?"),
    ("content", "Toplantı yarın mı?", "Toplantı bugün mü?"),
    ("names", "Who won in March?", "Who won in May?"),
    ("negation", "Is smoking allowed?", "Is smoking not allowed?"),
    ("negation", "Why does my card work?", "Why doesn't my card work?"),
    ("negation", "Siparişim geldi", "Siparişim gelmedi"),
    ("negation", "hesabım neden açılıyor", "hesabım neden açılmıyor"),
    ("negation", "şekerli kahve var mı", "şekersiz kahve var mı"),
    ("negation", "ödeme gerekli mi", "ödeme gerekli değil mi"),
    ("question", "Where is my card?", "When is my card?"),
    ("question", "How much is a transfer?", "How long is a transfer?"),
    ("question", "İade ne zaman yapılır?", "İade nasıl yapılır?"),
    ("names", "Who is the CEO of Apple?", "Who is the CEO of Google?"),
    ("numbers", 'What does "net 30" mean?', 'What does "net 60" mean?'),
    ("names", "What does foo_bar do?", "What does foo_baz do?"),
    ("antonyms", "How do I turn on notifications?", "How do I turn off notifications?"),
    ("antonyms", "How do I enable roaming?", "How do I disable roaming?"),
    ("antonyms", "Işığı nasıl açarım?", "Işığı nasıl kapatırım?"),
    ("antonyms", "En ucuz paket hangisi?", "En pahalı paket hangisi?"),
    ("order", "How do I convert USD to EUR?", "How do I convert EUR to USD?"),
    ("order", "Does the dog bite the man?", "Does the man bite the dog?"),
    ("order", "TL'den dolara nasıl çeviririm?", "Dolardan TL'ye nasıl çeviririm?"),
    ("content", "Can I return an opened item?", "Can I return an unopened item?"),
    ("content", "İade ücreti ne kadar?", "İade süresi ne kadar?"),
    ("owner", "Where is my card?", "Where is your card?"),
    ("modals", "Do I need to verify my identity?", "Can I verify my identity?"),
    ("modals", "I cannot verify my identity", "I don't want to verify my identity"),
    ("language", "kart nerede", "where is the card"),
]  # fmt: skip

TOGETHER = [
    ("How do I reset my PIN?", "how can I reset my pin"),
    ("Where is my order?", "Where's my order?"),
    ("What is the limit for 2 transfers?", "What is the limit for two transfers?"),
    ("How do I convert from USD to EUR?", "How do I convert USD into EUR?"),
    ("I bought a ticket. Can I return it?", "I buy a ticket. Can I return it?"),
    ("Are children allowed?", "Are kids allowed?"),
    ("Kartımı nasıl kapatırım?", "Kartımı nasıl kapatabilirim?"),
    ("İade süresi kaç gün?", "iade suresi kac gundur"),
    ("kargom nerede?", "kargolarım nerede?"),
    ("İSTANBUL'DA hava nasıl?", "İstanbul'da hava nasıl?"),
    ("1.000 TL gönderdim", "1000 TL gönderdim"),
]


@pytest.mark.parametrize(("gate", "one", "other"), APART)
def test_what_differs_in_meaning_is_kept_apart_by_its_gate(gate: str, one: str, other: str) -> None:
    assert closed_gate(read(one), read(other)) == gate
    assert closed_gate(read(other), read(one)) == gate


@pytest.mark.parametrize(("one", "other"), TOGETHER)
def test_what_means_the_same_passes_every_gate(one: str, other: str) -> None:
    assert closed_gate(read(one), read(other)) == ""
    assert closed_gate(read(other), read(one)) == ""


@given(st.text(max_size=60), st.text(max_size=60))
def test_gates_are_symmetric(one: str, other: str) -> None:
    assert bool(closed_gate(read(one), read(other))) == bool(closed_gate(read(other), read(one)))


@given(
    st.lists(
        st.sampled_from(["card", "pin", "the", "my", "where", "not", "5", "İade", "Ankara"]),
        max_size=6,
    )
)
def test_a_question_is_itself_whenever_it_has_content(words: list[str]) -> None:
    text = " ".join(words)
    signature = read(text)
    assert closed_gate(signature, signature) == ("" if signature.words else "content")


@given(st.text(max_size=80))
def test_vectors_have_unit_length_and_depend_on_folded_letters_only(text: str) -> None:
    vector = embed(text)
    if vector is None:
        return
    assert vector.dtype == np.float32
    assert vector.shape == (DIMENSIONS,)
    assert abs(float(np.linalg.norm(vector)) - 1) < 1e-4
    again = embed(fold(text))
    assert again is not None
    assert np.array_equal(vector, again)


def test_a_text_without_a_word_has_no_vector() -> None:
    assert embed("") is None
    assert embed(" ?! ") is None


def test_turkish_letters_fold_as_people_type_them() -> None:
    assert fold("IĞDIR'DA Şu çÖĞÜŞ İı") == "igdir'da su cogus ii"
