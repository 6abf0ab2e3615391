"""One entity in a plain view, and what finds it."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Entity(Struct, frozen=True):
    """Bytes ``start`` to ``end`` of a view hold a value of ``kind``.

    ``anchor`` is where the evidence begins (the word ``password`` before the value). ``tail`` names
    the set of bytes over which the value goes on for as long as they come, empty where the length
    is bounded: a stream can mask such a value before it has seen its end.
    """

    kind: str
    start: int
    end: int
    key: str  # the same value has the same key, however it is written
    anchor: int
    tail: str = ""


class Detector(Protocol):
    """Finds the entities of some kinds.

    A match is decided by at most ``MAX_ENTITY`` bytes from its anchor (beyond that it only goes on
    over its ``tail``) and by two bytes before the anchor, none of them before ``floor``: that is
    what lets a stream decide exactly as the whole text would.
    """

    @property
    def kinds(self) -> tuple[str, ...]: ...

    @property
    def gates(self) -> tuple[str, ...]:
        """Patterns of which one hits wherever this detector can find something."""
        ...

    @property
    def held(self) -> tuple[str, ...]:
        """Patterns that hit at the end of a text from which a match may go on past white space."""
        ...

    def find(self, data: bytes, pos: int, floor: int) -> Entity | None:
        """Return the first entity whose anchor is at ``pos`` or later."""
        ...


#: Longest evidence of an entity whose length is bounded; the longest is an e-mail address of
#: 64 + 1 + 4 * 64 + 24 bytes. Specified: RFC 5321 section 4.5.3.1, labels limited to five.
MAX_ENTITY = 400
