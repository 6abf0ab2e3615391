"""The folder of pulled models: each with a card and checksums, put there whole or not at all.

<data>/models/<name>/card.json, model.onnx, vocab.txt or tokenizer.json
<data>/models/.draft-…             one that is being pulled; removed when nobody holds the lock
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from santral.errors import BadRequest, Conflict, NotFound, StoreError, nearest
from santral.retrieval.embedding.model import ModelCard

CARD = "card.json"
MODEL = "model.onnx"
_LOCK = ".lock"
_DRAFT = ".draft-"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
#: Names that mean something else, where a model is named.
_TAKEN = ("lsa", "off", "fitted")
#: Version of what is in the folder; another one is pulled again.
FORMAT = 1


class PulledCard(Struct, frozen=True, kw_only=True):
    """What a pulled model is and where it is from.

    ``digest`` names the weights it was made from and how, the same on every machine; ``files`` are the
    SHA-256 of what lies beside the card. ``query_prefix`` and ``document_prefix`` stand in front of
    texts, where the model was trained so. ``cosine`` is the least to the unquantised model, over probes.
    """

    format: int = FORMAT
    name: str
    kind: Literal["embedding", "reranker"] = "embedding"
    source: str
    licence: str
    digest: str
    dimensions: int
    languages: tuple[str, ...] = ()
    max_tokens: int
    tokenizer: Literal["wordpiece", "tokenizers"] = "wordpiece"
    is_lower: bool = True
    pooling: Literal["inside", "mean", "first", "scores"] = "inside"
    query_prefix: str = ""
    document_prefix: str = ""
    cosine: float | None = None
    size_bytes: int = 0
    files: dict[str, str] = {}

    @property
    def model(self) -> ModelCard:
        """The card that is recorded with the vectors it makes."""
        return ModelCard(
            name=self.name,
            digest=self.digest,
            dimensions=self.dimensions,
            languages=self.languages,
        )


def models_folder(data_folder: Path) -> Path:
    """Return the folder of all models."""
    return data_folder / "models"


def checked_name(name: str) -> str:
    """Return a name that a model may have; raises BadRequest."""
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise BadRequest(
            f"A model cannot be called {name[:64]!r}. Take small letters, digits, '.', '_' and '-', 64 "
            f"at most, and none of: {', '.join(_TAKEN)}.",
            param="name",
        )
    return name


def list_cards(data_folder: Path) -> list[PulledCard]:
    """Return the cards of all pulled models that can be read, by name."""
    cards: list[PulledCard] = []
    for path in sorted(models_folder(data_folder).glob(f"[a-z0-9]*/{CARD}")):
        try:
            cards.append(msgspec.json.decode(path.read_bytes(), type=PulledCard))
        except (OSError, msgspec.DecodeError):
            continue  # `show` says what is wrong with it
    return cards


def read_card(data_folder: Path, name: str) -> PulledCard:
    """Return the card of a model.

    Raises:
        NotFound: nothing of that name was pulled; names the nearest.
        StoreError: it cannot be read.
    """
    try:
        content = (models_folder(data_folder) / checked_name(name) / CARD).read_bytes()
        card = msgspec.json.decode(content, type=PulledCard)
    except (FileNotFoundError, BadRequest):
        known = [card.name for card in list_cards(data_folder)]
        raise NotFound(
            f"There is no embedding model '{name[:64]}' on this machine."
            f"{nearest(name, [*known, *_TAKEN[:2]])} Get it with: santral models pull {name[:64]}",
            code="model_not_pulled",
            param="embedding",
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise damaged(name, str(error)) from None
    if card.format != FORMAT:
        raise damaged(name, "another version of Santral has made it")
    return card


def checked_files(data_folder: Path, card: PulledCard) -> Path:
    """Return the folder of a model whose files are what its card says; raises StoreError."""
    folder = models_folder(data_folder) / card.name
    for name, wanted in card.files.items():
        try:
            found = file_digest(folder / name)
        except OSError as error:
            raise damaged(card.name, f"{name}: {error.strerror}") from None
        if found != wanted:
            raise damaged(card.name, f"{name} has changed since it was pulled")
    return folder


def remove_model(data_folder: Path, name: str) -> PulledCard:
    """Remove a model; raises NotFound, and Conflict where one is being pulled."""
    card = read_card(data_folder, name)
    with changing(data_folder):
        shutil.rmtree(models_folder(data_folder) / card.name)
    return card


@contextmanager
def drafting(data_folder: Path) -> Generator[Path]:
    """Hold a folder in which a model is made; what is not shelved by the end is removed."""
    with changing(data_folder):
        draft = models_folder(data_folder) / f"{_DRAFT}{os.getpid()}"
        draft.mkdir()
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def shelve(data_folder: Path, draft: Path, card: PulledCard, files: Iterable[str]) -> PulledCard:
    """Put a finished model in place, of the one before too; return its card with checksums."""
    sums = {name: file_digest(draft / name) for name in files}
    size = sum((draft / name).stat().st_size for name in files)
    whole = msgspec.structs.replace(card, files=sums, size_bytes=size)
    made = draft / "made"
    made.mkdir()
    for name in files:
        (draft / name).rename(made / name)
    (made / CARD).write_bytes(msgspec.json.format(msgspec.json.encode(whole)))
    place = models_folder(data_folder) / card.name
    if place.exists():
        place.rename(draft / "before")
    made.rename(place)
    return whole


@contextmanager
def changing(data_folder: Path) -> Generator[None]:
    """Hold the right to change the folder; drafts that a killed pull left are removed."""
    folder = models_folder(data_folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(f"The folder {folder} cannot be used: {error.strerror}.") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                "Another model is being pulled or removed. Wait until that is done.",
                code="models_busy",
            ) from None
        for left in folder.glob(f"{_DRAFT}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(descriptor)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        made = sha256()
        while part := file.read(1 << 20):
            made.update(part)
    return made.hexdigest()


def damaged(name: str, reason: str) -> StoreError:
    """Return the error of a model that cannot be used, with the remedy."""
    return StoreError(
        f"The model '{name}' cannot be used: {reason}. Pull it again: santral models pull {name}",
        code="model_unusable",
    )
