"""One score, as a worker spools it and the collector stores it."""

from __future__ import annotations

import math
import re
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

#: Who says it. Reviewers are people whom we asked, users are those who were answered.
Source: TypeAlias = Literal["user", "reviewer", "judge", "code", "guardrail", "implicit"]

#: What stands before an id in ``trace_id`` until the trace that it belongs to is found.
OF_REQUEST, OF_RESPONSE = "request:", "response:"

_TRACE_ID = re.compile("[0-9a-f]{32}")
#: How msgpack begins a list. Source: the msgpack specification, format overview.
_SHORT_LISTS, _LISTS = range(0x90, 0xA0), (0xDC, 0xDD)


class ScoreRecord(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A value given to one trace. The newest one of a name by one rater on one trace is in force.

    ``array_like``, so that a frame of the spool shows by its first byte that it is no trace.
    """

    id: str  # 32 hex digits: stored twice it changes nothing
    tenant_id: str
    trace_id: (
        str  # or request:, response: and an id that we gave out; the collector finds the trace
    )
    name: str  # thumbs, rating, correction, faithfulness, ...
    source: Source
    at_us: int  # microseconds since the Unix epoch
    value: float | None = None  # None: a label or a text alone
    label: str = ""
    comment: str = ""  # words of a person: kept as payloads are
    rater: str = ""  # the user, reviewer or evaluator; empty: whoever holds the key
    evaluator_version: str = ""  # of a judge or of code: another one begins another series
    probability: float = 1.0  # with which this trace was chosen to be scored
    session: str = ""
    user: str = ""  # the end user of the trace, where known: erasure finds it by this
    is_retracted: bool = False  # whoever said it took it back
    waits_under: str = (
        ""  # in the spool alone: the wrapped key under which a worker sealed the comment
    )
    is_sealed: bool = False  # the comment is sealed under the tenant's data key, in base 64

    @property
    def has_trace(self) -> bool:
        """Whether the trace is known; else ``trace_id`` names a request or a response."""
        return _TRACE_ID.fullmatch(self.trace_id) is not None


class GivenScore(Struct, frozen=True, kw_only=True):
    """A score as it is shown."""

    id: str
    tenant_id: str
    trace_id: str
    name: str
    source: Source
    at_us: int
    value: float | None
    label: str
    comment: str
    rater: str
    evaluator_version: str
    probability: float


def shown(score: ScoreRecord, *, with_words: bool = True) -> GivenScore:
    """Return a score as it is shown, without its words where they may not be read."""
    fields: dict[str, Any] = {name: getattr(score, name) for name in GivenScore.__struct_fields__}
    fields["comment"] = score.comment if with_words else ""
    return GivenScore(**fields)


_decoder = msgspec.msgpack.Decoder(ScoreRecord)


def is_score(frame: bytes) -> bool:
    """Whether a frame of the spool holds a score, by its first byte."""
    return bool(frame) and (frame[0] in _SHORT_LISTS or frame[0] in _LISTS)


def decode_score(frame: bytes) -> ScoreRecord:
    """Read one spooled score.

    Raises:
        msgspec.DecodeError: the bytes are no score, or its value is no number that can be averaged.
    """
    score = _decoder.decode(frame)
    if score.value is not None and not math.isfinite(score.value):
        raise msgspec.ValidationError(f"The value of score {score.id} is {score.value}.")
    return score
