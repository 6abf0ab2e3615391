"""Vendors of the clouds, each with a dialect and a way to sign in of its own."""

from __future__ import annotations

from santral.providers.vendor import CHAT, Vendor, can

_GEMINI = CHAT | can("audio_in", "files", "reasoning", "logprobs", "prompt_cache", "n")

CLOUD_VENDORS: tuple[Vendor, ...] = (
    Vendor(
        kind="gemini",
        title="Google Gemini (AI Studio)",
        dialect="gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta",
        key_header="x-goog-api-key",  # never in the address: addresses are written into logs
        capabilities=_GEMINI,
        reference="https://ai.google.dev/api/generate-content",
        models_path="",
    ),
    Vendor(
        kind="vertex",
        title="Google Vertex AI",
        dialect="vertex",
        base_url="https://aiplatform.googleapis.com",  # of the region global; others have their own
        auth="own",
        capabilities=_GEMINI,
        reference="https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference",
        models_path="",
    ),
    Vendor(
        kind="bedrock",
        title="AWS Bedrock",
        dialect="bedrock",
        base_url="https://bedrock-runtime.us-east-1.amazonaws.com",  # each region has its own
        auth="optional",  # an API key of Bedrock; AWS credentials sign in their own way
        capabilities=_GEMINI - {"audio_in", "logprobs", "n"},
        reference="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
        models_path="",
    ),
)
