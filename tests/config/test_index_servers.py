"""Addresses of index servers: one that cannot be is refused when the configuration is read."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from santral.config.collections import IndexServerConfig


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("qdrant", "http://127.0.0.1:6333"),
        ("qdrant", "https://qdrant.internal"),
        ("pgvector", "postgresql://santral@db:5432/search?sslmode=verify-full"),
        ("pgvector", "postgres://db/search"),
    ],
)
def test_an_address_of_its_kind_is_taken(kind: str, url: str) -> None:
    assert IndexServerConfig.model_validate({"kind": kind, "url": url}).url == url


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("qdrant", "qdrant:6333"),
        ("qdrant", "postgresql://db/search"),
        ("qdrant", "http://:6333"),
        ("qdrant", "http://host:port"),
        ("pgvector", "http://127.0.0.1:6333"),
        ("pgvector", "postgresql://u:half/of a:password@db:5432/search"),
        ("pgvector", ""),
    ],
)
def test_an_address_of_another_kind_is_refused_with_an_example(kind: str, url: str) -> None:
    with pytest.raises(ValidationError, match="it looks like"):
        IndexServerConfig.model_validate({"kind": kind, "url": url})
