"""Our WordPiece takes texts apart as the tokenizers library does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.retrieval.embedding import tiny_model
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from santral.errors import StoreError
from santral.retrieval.embedding.pulled.wordpiece import WordPiece, read_vocabulary

WORDS = [
    "istanbul",
    "##da",
    "ıssız",
    "é",
    "東",
    "京",
    "'",
    '"',
    "-",
    "_",
    "$",
    "#",
    "##-",
    "ﬁ",
    "¿",
]
VOCABULARY = {
    token: number for number, token in enumerate(dict.fromkeys([*tiny_model.VOCABULARY, *WORDS]))
}


def theirs() -> Any:
    made = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


THEIRS, OURS = theirs(), WordPiece(VOCABULARY)

#: Letters whose kind all versions of Unicode agree on.
TEXT = st.text(
    st.one_of(
        st.characters(max_codepoint=0x24F),
        st.sampled_from("ıİğĞşŞçöü’“”…—東京タワー한ي\u200b\u00a0\u3000\ufffd\u0301\t\n🎉"),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=400)
@given(TEXT)
def test_every_text_has_the_same_tokens(text: str) -> None:
    assert OURS.encode(text, 10_000) == THEIRS.encode(text).ids


@pytest.mark.parametrize(
    "text", ["IĞDIR'DA", "İstanbul'da 東京", "a" * 101, "", "  ", "don't_stop"]
)
def test_hard_words_have_the_same_tokens(text: str) -> None:
    assert OURS.encode(text, 10_000) == THEIRS.encode(text).ids


def test_a_long_text_is_cut_and_ends_as_it_should() -> None:
    tokens = OURS.encode("the password is the word " * 100, 16)
    assert (len(tokens), tokens[0], tokens[-1]) == (16, 2, 3)


def test_a_pair_is_cut_at_its_second_text() -> None:
    tokens, types = OURS.encode_pair("the word", "the password is 7 " * 50, 24)
    assert len(tokens) == len(types) == 24
    assert types == sorted(types)
    assert tokens.count(3) == 2


def test_a_vocabulary_of_another_kind_is_refused() -> None:
    with pytest.raises(StoreError, match=r"lacks \[CLS\]"):
        WordPiece(read_vocabulary("<s>\n</s>\n<unk>\n[SEP]\n[UNK]\n"))
