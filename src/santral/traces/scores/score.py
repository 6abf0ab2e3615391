"""One score, as a worker spools it and the collector stores it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

#: Who says it. Reviewers are people whom we asked, users are those who were answered.
Source: TypeAlias = Literal["user", "reviewer", "judge", "code", "guardrail", "implicit"]


class ScoreRecord(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A value given to one trace. The newest one of a name by one rater on one trace is in force.

    ``array_like``, so that a frame of the spool shows by its first byte that it is no trace.
    """

    id: str  # 32 hex digits: stored twice it changes nothing
    tenant_id: str
    trace_id: str
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
