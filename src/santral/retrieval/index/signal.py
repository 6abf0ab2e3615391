"""The signals of a search: three ways to tell how well a chunk fits a question."""

from __future__ import annotations

from typing import Literal, TypeAlias

Signal: TypeAlias = Literal["bm25", "ngrams", "dense"]
