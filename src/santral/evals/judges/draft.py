"""Drafts of the steps of a G-Eval judge: for people to read before they are used."""

from __future__ import annotations

from collections.abc import Sequence

from santral.errors import ProviderGarbled
from santral.evals.answer import Ask
from santral.evals.judges.ballot import form
from santral.evals.judges.settings import JudgeSettings
from santral.evals.judges.sitting import Sitting, Trouble

_DRAFT = (
    "You are given criteria by which answers will be judged. Write three to six short steps that a "
    "judge follows, one after the other, to judge an answer by them. Each step says what to look at. "
    "Write in the language of the criteria."
)
_FORM = form(steps={"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 10})


async def draft_steps(ask: Ask, route: str, criteria: str) -> Sequence[str]:
    """Return steps that a model drafts from criteria.

    Raises:
        ProviderGarbled: it gave none.
    """
    sitting = Sitting(ask, JudgeSettings(route=route), "steps")
    try:
        return (await sitting.fill(_DRAFT, {"criteria": criteria}, _FORM)).fields["steps"]
    except Trouble as trouble:
        raise ProviderGarbled(
            f"'{route}' drafted no steps ({trouble.reason}). Write them yourself, or ask another route."
        ) from None
