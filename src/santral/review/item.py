"""An item: something that people judge, and each one's part of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct, field

from santral.review.label import Value

ItemKind: TypeAlias = Literal["trace", "pair", "held"]
ItemState: TypeAlias = Literal["open", "disputed", "done", "skipped"]
TaskState: TypeAlias = Literal["leased", "done", "skipped"]

#: The place of the adjudicator; raters have 1 and up.
ADJUDICATOR = 0


class Said(Struct, frozen=True):
    """A message of the conversation that was answered."""

    role: str
    text: str


class Shown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What raters see: no model, no prompt version, no other rater."""

    said: list[Said] = field(default_factory=list[Said])
    answers: list[str] = field(default_factory=list[str])  # one, or two to compare: a, b
    passages: list[str] = field(default_factory=list[str])  # documents that the answer had
    note: str = ""  # of whoever sent it


class Content(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an item's row holds: why it is there, and what is shown, sealed where the tenant has keys."""

    rules: dict[str, float] = field(default_factory=dict[str, float])  # matched, with probability
    shown: Shown | None = None
    sealed: str = ""  # Shown as JSON, sealed, in base 64
    names: list[str] = field(
        default_factory=list[str]
    )  # of a pair: which runs; raters never see it
    expires_at: str = ""  # of a held answer


class Item(Struct, frozen=True, kw_only=True):
    """One row of a queue."""

    id: str
    tenant_id: str
    queue: str
    kind: ItemKind
    key: str
    trace_id: str
    content: Content
    subject: str
    rule: str
    probability: float
    gold: dict[str, Value] | None
    held_id: str
    state: ItemState
    outcome: dict[str, Value] | None
    priority: int
    created_by: str
    created_at: datetime
    closed_at: datetime | None = None
    scored_at: datetime | None = None


class Task(Struct, frozen=True, kw_only=True):
    """One person's part of an item: leased, done, or given back."""

    item_id: str
    slot: int
    tenant_id: str
    rater: str
    state: TaskState
    leased_until: datetime | None = None
    labels: dict[str, Value] | None = None
    comment: str = ""
    shown: list[int] | None = None  # the order in which two answers were shown
    seconds: float = 0.0
    submitted_at: datetime | None = None
