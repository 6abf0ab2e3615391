"""E-mail addresses."""

from __future__ import annotations

from santral.guardrails.entities.entity import Entity
from santral.guardrails.patterns import compiled

_ADDRESS = compiled(r"[A-Za-z0-9._%+\-]{1,64}@(?:[A-Za-z0-9\-]{1,63}\.){1,4}[A-Za-z]{2,24}")


class Emails:
    """Finds addresses; a suffix after an apostrophe (``ali@example.com'a``) is not part of one."""

    kinds = ("EMAIL",)
    gates = (r"[A-Za-z0-9._%+\-]@[A-Za-z0-9\-]+\.",)
    held = ()  # holds no white space: a stream keeps its last word anyway

    def find(self, data: bytes, pos: int, floor: int) -> Entity | None:
        match = _ADDRESS.search(data, pos)
        if match is None:
            return None
        start, end = match.span()
        return Entity("EMAIL", start, end, data[start:end].decode().lower(), start)
