"""One pass over a plain view: entities from left to right, none overlapping another."""

from __future__ import annotations

from collections.abc import Sequence

from santral.guardrails.entities.entity import MAX_ENTITY, Detector, Entity

#: Bytes after an entity within which its end can change what a detector accepts.
_NEAR = 8
_SEPARATORS = frozenset(bytes([byte]) for byte in b" \t\n,;:'\"")


def scan(data: bytes, detectors: Sequence[Detector], pos: int = 0, floor: int = 0) -> list[Entity]:
    """Return the entities of ``data`` from ``pos`` on.

    Of two that overlap the earlier one counts, at one place the longer one, then the first
    detector's. What follows an entity is read as if the text began there: so it is read alike once
    the entity has been masked, and masking twice changes nothing more.
    """
    found: list[Entity] = []
    nexts = [detector.find(data, pos, floor) for detector in detectors]
    while (entity := _first(nexts)) is not None:
        found.append(entity)
        pos = entity.end
        for index, detector in enumerate(detectors):
            if _is_stale(nexts[index], detector, data, pos):
                nexts[index] = detector.find(data, pos, pos)
    return found


def _first(candidates: Sequence[Entity | None]) -> Entity | None:
    best: Entity | None = None
    for entity in candidates:
        if entity is not None and (
            best is None or (entity.start, -entity.end) < (best.start, -best.end)
        ):
            best = entity
    return best


def _is_stale(candidate: Entity | None, detector: Detector, data: bytes, pos: int) -> bool:
    """Whether the detector may now find another one first; looks at a bounded piece only."""
    if candidate is not None and candidate.anchor < pos:
        return True
    if data[pos : pos + 1] in _SEPARATORS and not data[pos + 1 : pos + 2].isdigit():
        return False  # what follows is separated already, with the entity or without it
    near = detector.find(data[pos : pos + MAX_ENTITY], 0, 0)
    if near is None or near.anchor >= _NEAR:
        return False
    return candidate is None or candidate.anchor > pos + near.anchor
