"""A pulled model asked for vectors: tokens, then the network, in threads beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from santral.errors import BadRequest
from santral.retrieval.analysis.counts import Floats
from santral.retrieval.embedding.model import ModelCard
from santral.retrieval.embedding.pulled.session import Session
from santral.retrieval.embedding.pulled.shelf import PulledCard, checked_files, damaged, read_card
from santral.retrieval.embedding.pulled.wordpiece import WordPiece, read_vocabulary
from santral.retrieval.extra import needed

#: Texts of one turn in a thread: between two of them a job that is cancelled ends. Chosen.
_TEXTS_AT_ONCE = 16


class PulledModel:
    """Makes vectors in this process; open it with ``open_pulled``."""

    def __init__(self, card: PulledCard, tokenizer: Tokenizer, session: Session) -> None:
        self._pulled = card
        self._tokenizer = tokenizer
        self._session = session

    @property
    def card(self) -> ModelCard:
        """Which model this is."""
        return self._pulled.model

    async def embed_documents(self, texts: Sequence[str]) -> Floats:
        """Return float32 [texts, dimensions]; a text beyond the model's length counts up to there."""
        made = np.zeros((len(texts), self._pulled.dimensions), np.float32)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = texts[start : start + _TEXTS_AT_ONCE]
            prefix = self._pulled.document_prefix
            made[start : start + len(part)] = await asyncio.to_thread(self._embed, part, prefix)
        return made

    async def embed_query(self, text: str) -> Floats:
        """Return float32 [dimensions] of a question."""
        return (await asyncio.to_thread(self._embed, [text], self._pulled.query_prefix))[0]

    def embed_now(self, text: str) -> Floats:
        """Return float32 [dimensions] of a text, here and now."""
        return self._one(text, "")

    def _embed(self, texts: Sequence[str], prefix: str) -> Floats:
        return np.stack([self._one(text, prefix) for text in texts])

    def _one(self, text: str, prefix: str) -> Floats:
        if not text.strip():
            return np.zeros(self._pulled.dimensions, np.float32)
        tokens = self._tokenizer.encode(prefix + text, self._pulled.max_tokens)
        return self._session.vector(tokens)


class PulledReranker:
    """Scores passages against a question in this process; open it with ``open_reranker``."""

    def __init__(self, card: PulledCard, tokenizer: Tokenizer, session: Session) -> None:
        self._pulled = card
        self._tokenizer = tokenizer
        self._session = session

    @property
    def name(self) -> str:
        """The name under which it was pulled."""
        return self._pulled.name

    async def scores(self, question: str, passages: Sequence[str]) -> Floats:
        """Return float32 [passages]: how well each answers the question, higher is better."""
        return await asyncio.to_thread(self._score, question, passages)

    def _score(self, question: str, passages: Sequence[str]) -> Floats:
        return np.array([self._one(question, passage) for passage in passages], np.float32)

    def _one(self, question: str, passage: str) -> float:
        tokens, types = self._tokenizer.encode_pair(question, passage, self._pulled.max_tokens)
        return float(self._session.vector(tokens, types)[-1])


class _Foreign:
    """A tokenizer of the tokenizers library, for vocabularies that are none of WordPiece."""

    def __init__(self, path: Path) -> None:
        library = needed("tokenizers", "for this model's vocabulary", "tokenizers")
        self._tokenizer: Any = library.Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def encode(self, text: str, most: int) -> list[int]:
        """Return the tokens of a text; the mark at its end stays where it is cut."""
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids if len(ids) <= most else [*ids[: most - 1], ids[-1]]

    def encode_pair(self, first: str, second: str, most: int) -> tuple[list[int], list[int]]:
        """Return tokens and types of two texts, cut at the end."""
        found = self._tokenizer.encode(first, second)
        return found.ids[:most], found.type_ids[:most]


Tokenizer = WordPiece | _Foreign


def open_pulled(data_folder: Path, name: str) -> PulledModel:
    """Return a pulled embedding model, its files checked; takes some 0.2 s.

    Raises:
        NotFound: it was not pulled.
        BadRequest: it is a reranker.
        StoreError: it is damaged, or the ``onnx`` extra is not installed.
    """
    card, tokenizer, session = _opened(data_folder, name)
    if card.kind != "embedding":
        raise BadRequest(
            f"'{name}' reranks and makes no vectors. Name it under search.rerank.",
            param="embedding",
        )
    return PulledModel(card, tokenizer, session)


def open_reranker(data_folder: Path, name: str) -> PulledReranker:
    """Return a pulled cross-encoder; raises as ``open_pulled`` does, BadRequest for another kind."""
    card, tokenizer, session = _opened(data_folder, name)
    if card.kind != "reranker":
        raise BadRequest(f"'{name}' makes vectors and does not rerank.", param="rerank")
    return PulledReranker(card, tokenizer, session)


def open_draft(folder: Path, card: PulledCard) -> PulledModel:
    """Return a model that is being pulled, to see whether it works."""
    return PulledModel(card, _tokenizer(folder, card), Session(folder, card))


def _opened(data_folder: Path, name: str) -> tuple[PulledCard, Tokenizer, Session]:
    card = read_card(data_folder, name)
    folder = checked_files(data_folder, card)
    return card, _tokenizer(folder, card), Session(folder, card)


def _tokenizer(folder: Path, card: PulledCard) -> Tokenizer:
    if card.tokenizer == "tokenizers":
        return _Foreign(folder / "tokenizer.json")
    try:
        vocabulary = read_vocabulary((folder / "vocab.txt").read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(card.name, str(error)) from None
    return WordPiece(vocabulary, is_lower=card.is_lower)
