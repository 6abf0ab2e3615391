"""What was fetched of a model: files laid out as sentence-transformers keeps them, read and not run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from santral.errors import BadRequest
from santral.retrieval.embedding.pulled.bert import BertShape

T = TypeVar("T")

WEIGHTS = "model.safetensors"
ONNX = "onnx/model.onnx"
#: Small files that say what a model is; those that a model lacks are not missed.
DESCRIPTIONS = (
    "config.json",
    "modules.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
    "vocab.txt",
    "tokenizer.json",
)
#: Tokens of a text where a model says nothing. Specified: BERT's.
_MAX_TOKENS = 512


class Raw(Struct, frozen=True, kw_only=True):
    """A model as it was fetched into ``folder``, and where it is from."""

    folder: Path
    source: str
    licence: str
    languages: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def read(self, name: str, kind: type[T], default: T) -> T:
        """Return what a JSON file of the model says; raises BadRequest where it is none."""
        try:
            return msgspec.json.decode((self.folder / name).read_bytes(), type=kind)
        except FileNotFoundError:
            return default
        except msgspec.DecodeError as error:
            raise unfit(self, f"its {name} cannot be read ({error})") from None


class Description(Struct, frozen=True, kw_only=True):
    """What a model is, as its files say."""

    kind: Literal["embedding", "reranker"]
    dimensions: int
    max_tokens: int
    pooling: Literal["mean", "first", "scores"]
    tokenizer: Literal["wordpiece", "tokenizers"]
    is_lower: bool
    query_prefix: str
    document_prefix: str
    shape: BertShape | None  # of a BERT, that can be built from its weights


class _Config(Struct, frozen=True):
    model_type: str = ""
    architectures: tuple[str, ...] = ()
    hidden_size: int = 0
    max_position_embeddings: int = _MAX_TOKENS
    hidden_act: str = "gelu"


class _Module(Struct, frozen=True):
    type: str
    path: str = ""


class _Pooling(Struct, frozen=True):
    pooling_mode_cls_token: bool = False
    pooling_mode_mean_tokens: bool = False


class _Sentences(Struct, frozen=True):
    max_seq_length: int | None = None


class _Prompts(Struct, frozen=True):
    prompts: dict[str, str] = {}


class _Tokenizer(Struct, frozen=True):
    do_lower_case: bool = True


class _TokenizerModel(Struct, frozen=True):
    type: str = ""


class _TokenizerFile(Struct, frozen=True):
    model: _TokenizerModel | None = None


def describe(raw: Raw) -> Description:
    """Return what was fetched.

    Raises:
        BadRequest: nothing that can be run here; says why.
    """
    config = raw.read("config.json", _Config, _Config())
    is_reranker = any("SequenceClassification" in name for name in config.architectures)
    if not config.hidden_size:
        raise unfit(raw, "its config.json says no hidden_size")
    if not is_reranker:
        _require_known_modules(raw)
    is_bert = config.model_type == "bert" and config.hidden_act == "gelu" and not is_reranker
    if not raw.has(ONNX) and not (is_bert and raw.has(WEIGHTS)):
        raise unfit(raw, "it has no onnx/model.onnx, and only a BERT can be built from its weights")
    prompts = raw.read("config_sentence_transformers.json", _Prompts, _Prompts()).prompts
    longest = raw.read("sentence_bert_config.json", _Sentences, _Sentences()).max_seq_length
    return Description(
        kind="reranker" if is_reranker else "embedding",
        dimensions=1 if is_reranker else config.hidden_size,
        max_tokens=min(longest or _MAX_TOKENS, config.max_position_embeddings),
        pooling="scores" if is_reranker else _pooling(raw),
        tokenizer="wordpiece" if _is_wordpiece(raw) else "tokenizers",
        is_lower=raw.read("tokenizer_config.json", _Tokenizer, _Tokenizer()).do_lower_case,
        query_prefix=prompts.get("query", ""),
        document_prefix=prompts.get("passage", prompts.get("document", "")),
        shape=raw.read("config.json", BertShape, _NO_SHAPE) if is_bert else None,
    )


_NO_SHAPE = BertShape(0, 0, 0)
_MODULES = ("Transformer", "Pooling", "Normalize")


def _require_known_modules(raw: Raw) -> None:
    for module in raw.read("modules.json", list[_Module], []):
        if module.type.rpartition(".")[2] not in _MODULES:
            raise unfit(raw, f"it has a module that is not run here ({module.type})")


def _pooling(raw: Raw) -> Literal["mean", "first"]:
    if not raw.has("1_Pooling/config.json"):
        raise unfit(raw, "it is no model of sentence-transformers: it has no 1_Pooling/config.json")
    said = raw.read("1_Pooling/config.json", _Pooling, _Pooling())
    if said.pooling_mode_mean_tokens:
        return "mean"
    if said.pooling_mode_cls_token:
        return "first"
    raise unfit(raw, "it pools its tokens in a way that is not known here")


def _is_wordpiece(raw: Raw) -> bool:
    """Whether our own tokenizer reads its vocabulary."""
    if not raw.has("vocab.txt"):
        return False
    said = raw.read("tokenizer.json", _TokenizerFile, _TokenizerFile()).model
    return said is None or said.type == "WordPiece"


def unfit(raw: Raw, reason: str) -> BadRequest:
    """Return the refusal of a model that cannot be run here."""
    return BadRequest(
        f"The model of {raw.source} cannot be used: {reason}.", code="model_unfit", param="name"
    )
