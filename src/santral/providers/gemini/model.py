"""What of Gemini's API depends on the model's generation, read from its name.

An unknown name counts as the newest generation: names are open-ended, old ones are not. Sources:
https://ai.google.dev/gemini-api/docs/thinking, .../docs/openai (the table of reasoning_effort),
.../docs/function-calling
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Raw

from santral.providers.conversation.settings import read_thinking
from santral.wire.loss import Losses

_OLD = re.compile(r"gemini-(?:1|2)(?:[.-]|$)|gemini-pro(?:-vision)?$|gemma", re.IGNORECASE)
_THINKS_BY_BUDGET = re.compile(r"gemini-2\.5", re.IGNORECASE)


def is_third(model: str) -> bool:
    """Whether the model is of the third generation or later: it takes levels of thinking, tools
    together with a schema, images in results of tools, and refuses calls without a signature."""
    return _OLD.search(model) is None


def thinking_config(
    model: str, effort: str, thinking: Raw | None, losses: Losses
) -> dict[str, Any] | None:
    """Return ``thinkingConfig`` for OpenAI's word or Anthropic's field; None where neither says anything."""
    if thinking is not None:
        asked = read_thinking(thinking)
        if asked.is_off:
            return _off(model, losses)
        if asked.budget_tokens is not None:
            return _known(model, {"thinkingBudget": asked.budget_tokens}, "thinking", losses)
        if not effort:
            return _known(model, {}, "thinking", losses)
    if not effort:
        return None
    if effort == "none":
        return _off(model, losses)
    return _known(model, _by_word(model, effort, losses), "reasoning_effort", losses)


def _known(
    model: str, how_much: dict[str, Any], name: str, losses: Losses
) -> dict[str, Any] | None:
    if not is_third(model) and not _THINKS_BY_BUDGET.search(model):
        losses.drop(name, f"'{model}' does not think")
        return None
    return {"includeThoughts": True, **how_much}


def _by_word(model: str, effort: str, losses: Losses) -> dict[str, Any]:
    if not is_third(model):
        return {"thinkingBudget": _BUDGETS.get(effort, _BUDGETS["high"])}
    word = effort if effort in ("minimal", "low", "medium", "high") else "high"
    if word == "minimal" and _is_pro(model):
        word = "low"
    if word != effort:
        losses.change("reasoning_effort", word)
    return {"thinkingLevel": word}


def _off(model: str, losses: Losses) -> dict[str, Any] | None:
    """Think as little as the model can: only Flash models of 2.5 can be told not to."""
    if is_third(model):
        word = "low" if _is_pro(model) else "minimal"
        losses.change("reasoning_effort", word)
        return {"thinkingLevel": word}
    if not _THINKS_BY_BUDGET.search(model):
        return None
    if _is_pro(model):
        losses.change("reasoning_effort", _LEAST_OF_PRO)
        return {"thinkingBudget": _LEAST_OF_PRO}
    return {"thinkingBudget": 0}


def _is_pro(model: str) -> bool:
    return "-pro" in model.lower()


#: Source: https://ai.google.dev/gemini-api/docs/openai#thinking; 24576 is the most that Flash takes.
_BUDGETS: dict[str, int] = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}

_LEAST_OF_PRO = 128  # Source: https://ai.google.dev/gemini-api/docs/thinking#set-budget
