"""Comments of scores, sealed by a worker for their time in the spool; a worker imports no database."""

from __future__ import annotations

from msgspec.structs import replace

from santral.traces.scores.score import ScoreRecord
from santral.traces.waiting import SpoolBox


def waiting_score(score: ScoreRecord, box: SpoolBox) -> ScoreRecord:
    """Return the score with its comment sealed."""
    if not score.comment:
        return score
    comment = box.seal(place_of_comment(score), score.comment)
    return replace(score, comment=comment, waits_under=box.wrapped)


def place_of_comment(score: ScoreRecord) -> str:
    """Return the place of a score's words."""
    return f"scores/{score.id}/comment"
