"""What a frame of the spool holds: a finished request, or a score that was given to one."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from santral.traces.record import TraceRecord, decode_record
from santral.traces.scores.score import ScoreRecord, decode_score, is_score

Spooled: TypeAlias = TraceRecord | ScoreRecord

#: What reading a frame that holds neither raises.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_frame(body: bytes) -> Spooled:
    """Read one frame; raises one of ``UNREADABLE`` where it holds neither."""
    return decode_score(body) if is_score(body) else decode_record(body)


def began_us(record: Spooled) -> int:
    """Return when the request began, or the score was given."""
    return record.at_us if isinstance(record, ScoreRecord) else record.started_at_us


def finished_us(record: Spooled) -> int:
    """Return when it could be spooled."""
    return began_us(record) + (0 if isinstance(record, ScoreRecord) else record.duration_us)
