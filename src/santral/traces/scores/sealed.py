"""Comments of scores, sealed under their tenant's data key and opened again, as payloads are."""

from __future__ import annotations

from base64 import b64decode, b64encode

from msgspec.structs import replace

from santral.errors import DataKeyGone, SealBroken, StoreError
from santral.secrets.sealer import Sealer
from santral.traces.scores.score import ScoreRecord
from santral.traces.scores.waiting import place_of_comment
from santral.traces.sealed import CHANGED, CLOSED, ERASED


async def sealed_score(score: ScoreRecord, sealer: Sealer | None) -> ScoreRecord:
    """Return the score as it is stored.

    Raises:
        StoreError: a worker sealed it under a master key that is not configured here.
    """
    if not score.comment or score.is_sealed:
        return score
    if sealer is None:
        if score.waits_under:
            raise StoreError(
                "The spool holds comments that were sealed under a master key, and none is "
                "configured. Set secrets.master_key again; what waits is collected then."
            )
        return score
    comment = _arrived(score, sealer) if score.waits_under else score.comment
    box = await sealer.box(score.tenant_id)
    closed = b64encode(box.seal(place_of_comment(score), comment.encode())).decode()
    return replace(score, comment=closed, waits_under="", is_sealed=True)


async def opened_score(score: ScoreRecord, sealer: Sealer | None) -> ScoreRecord:
    """Return the score with its comment in clear, or with a sentence where that cannot be had."""
    if not score.is_sealed:
        return score
    return replace(score, comment=await _opened(score, sealer), is_sealed=False)


async def _opened(score: ScoreRecord, sealer: Sealer | None) -> str:
    if sealer is None:
        return CLOSED
    try:
        data = await sealer.open(score.tenant_id, place_of_comment(score), b64decode(score.comment))
    except DataKeyGone:
        return ERASED
    return data.decode()


def _arrived(score: ScoreRecord, sealer: Sealer) -> str:
    try:
        return sealer.waiting.open(score.waits_under, place_of_comment(score), score.comment)
    except SealBroken:  # one that was changed must not keep the others out
        return CHANGED
