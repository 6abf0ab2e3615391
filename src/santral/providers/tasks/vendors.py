"""Vendors and engines that embed and rerank and answer no conversations."""

from __future__ import annotations

from santral.providers.vendor import Vendor

TASK_VENDORS: tuple[Vendor, ...] = (
    Vendor(
        kind="jina",
        title="Jina AI",
        dialect="tasks",
        base_url="https://api.jina.ai/v1",
        reference="https://api.jina.ai/redoc",
        models_path="",
    ),
    Vendor(
        kind="voyage",
        title="Voyage AI",
        dialect="tasks",
        base_url="https://api.voyageai.com/v1",
        reference="https://docs.voyageai.com/reference",
        models_path="",
    ),
    Vendor(
        kind="tei",
        title="Text Embeddings Inference",
        dialect="tasks",
        base_url="http://127.0.0.1:8080",
        auth="optional",
        reference="https://huggingface.github.io/text-embeddings-inference",
        models_path="",
    ),
)
