"""Settings of feedback from users and of answers that wait for a reviewer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from santral.config.secret import OutsideRef
from santral.config.section import Section


class FeedbackConfig(Section):
    """What users say of answers, and what their behaviour says."""

    allowed_origins: list[str] = Field(
        default_factory=list,
        description="Web pages that may send feedback with a client token, as origins such as "
        "https://app.example.com; `*` allows every page, since a token opens one trace alone.",
    )
    token_key: OutsideRef | None = Field(
        default=None,
        description="Key of the signature of client tokens, e.g. env:FEEDBACK_KEY; the same on every "
        "machine. Default is one made once in the data folder.",
    )
    token_ttl_s: int = Field(
        default=3600,
        ge=10,
        le=30 * 86_400,
        description="How long a client token is good where its request names no time, and at most.",
    )
    max_per_key_per_minute: int = Field(
        default=3_000,
        ge=1,
        le=1_000_000,
        description="Feedback that a worker takes with one key in a minute, tokens of its pages too; "
        "more gets a 429.",
    )
    max_per_trace_per_minute: int = Field(
        default=30,
        ge=1,
        le=10_000,
        description="Feedback that a worker takes about one trace in a minute; more gets a 429.",
    )
    max_comment_chars: int = Field(
        default=8000, ge=0, le=100_000, description="Longest comment or correction."
    )
    retry_window_s: int = Field(
        default=300,
        ge=1,
        le=86_400,
        description="A user who asks nearly the same again within this time did not get what they "
        "wanted: the first answer gets the score `retry`.",
    )
    retry_similarity: float = Field(
        default=0.8,
        ge=0.5,
        le=1.0,
        description="How alike two questions must be for that, from 0 to 1.",
    )
    implicit_every_s: float = Field(
        default=60.0,
        ge=1,
        le=86_400,
        description="How often retries and the distance of corrections are looked for.",
    )


class HeldConfig(Section):
    """Answers that wait for a reviewer before they may be given."""

    expires_after_s: int = Field(
        default=24 * 3600,
        ge=10,
        le=30 * 86_400,
        description="How long an answer waits for a reviewer.",
    )
    on_expiry: Literal["refuse", "release"] = Field(
        default="refuse", description="What becomes of an answer that nobody looked at in time."
    )
    keep_days: float = Field(
        default=30.0, gt=0, le=3650, description="How long a held answer is kept, decided or not."
    )
    max_per_tenant: int = Field(
        default=10_000, ge=1, description="Held answers kept for one tenant; the oldest go first."
    )
    max_bytes_per_tenant: int = Field(
        default=256 * 1024 * 1024, ge=1024, description="Their size together."
    )
    max_answer_bytes: int = Field(
        default=4 * 1024 * 1024,
        ge=1024,
        description="Largest answer that can be held; a larger one is refused.",
    )
