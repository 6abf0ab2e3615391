"""A held answer, and what a reviewer decided about it."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from santral.wire.delta import ChoiceDelta, Delta, Source
from santral.wire.usage import Usage

#: What became of it. Expired: nobody looked in time, and the policy refuses then.
Status: TypeAlias = Literal["waiting", "released", "replaced", "refused", "expired"]

PREFIX = "held_"


class Asked(Struct, frozen=True, kw_only=True):
    """The request, as far as it takes to write its answer again."""

    path: str
    body: bytes
    query: bytes = b""
    parts: dict[str, str] = {}


class Held(Struct, frozen=True, kw_only=True):
    """One answer that waits, with everything that its reviewer and its caller need."""

    trace_id: str
    request_id: str
    tenant_id: str
    key_id: str
    route: str
    model: str  # as the caller named it
    held_at: float  # seconds since the Unix epoch
    expires_at: float
    on_expiry: Literal["refuse", "release"]
    check: str  # which check wants it looked at; empty: the route holds every answer
    reason: str
    asked: Asked
    messages: Raw  # JSON: what the model was given
    choices: list[ChoiceDelta]
    usage: Usage | None = None
    sources: list[Source] = []
    groups: list[str] = []  # of who asked, where documents were part of the answer
    dialect: str = "chat"
    answer_id: str = ""
    created: int = 0
    user: str = ""
    session: str = ""

    @property
    def id(self) -> str:
        """What callers and reviewers know it by."""
        return held_id(self.trace_id)

    @property
    def text(self) -> str:
        """What the first choice says."""
        return "".join(choice.text for choice in self.choices if choice.index == 0)

    def delta(self, replacement: str | None = None) -> Delta:
        """Return the answer as one delta, with a reviewer's words in place of its own if given."""
        choices = tuple(self.choices)
        if replacement is not None:
            choices = (ChoiceDelta(text=replacement, finish_reason="stop"),)
        return Delta(
            choices=choices,
            id=self.answer_id,
            model=self.model,
            created=self.created or int(self.held_at),
            is_whole=True,
        )


class Decision(Struct, frozen=True, kw_only=True):
    """What a reviewer said of it, once."""

    status: Literal["released", "replaced", "refused"]
    by: str
    at: float
    replacement: str | None = None
    reason: str = ""


def held_id(trace_id: str) -> str:
    """Return the id of the answer of a request: one answer, one trace."""
    return PREFIX + trace_id


def status_of(held: Held, decision: Decision | None, now: float) -> Status:
    """Return what has become of an answer by ``now``."""
    if decision is not None:
        return decision.status
    if now < held.expires_at:
        return "waiting"
    return "released" if held.on_expiry == "release" else "expired"


encode_held = msgspec.json.Encoder().encode
decode_held = msgspec.json.Decoder(Held).decode
encode_decision = msgspec.json.Encoder().encode
decode_decision = msgspec.json.Decoder(Decision).decode
