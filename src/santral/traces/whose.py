"""Whose traces are meant: those of one tenant, of several, or of every one."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeAlias

Whose: TypeAlias = str | Collection[str] | None

#: The condition of every question, on the parameter ``whose``.
MEANT = "($whose::VARCHAR[] IS NULL OR list_contains($whose::VARCHAR[], tenant_id))"


def names(whose: Whose) -> list[str] | None:
    """Return the tenants that are meant, as ``whose`` is bound; None means every one."""
    return [whose] if isinstance(whose, str) else None if whose is None else sorted(whose)
