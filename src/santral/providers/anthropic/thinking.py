"""OpenAI's ``reasoning_effort`` as Anthropic's ``thinking`` and ``output_config.effort``.

Source: platform.claude.com, "Effort" and "Extended thinking": budgets of at least 1,024 tokens and
below ``max_tokens`` for models before Claude 4.6, adaptive thinking for later ones; no thinking where
a tool is forced.
"""

from __future__ import annotations

from typing import Any

from santral.providers.anthropic.models import Abilities
from santral.providers.conversation.conversation import Conversation
from santral.wire.loss import Losses

#: Least budget of thinking. Specified, as above.
MIN_BUDGET = 1024
#: Budgets for models that have no efforts. Chosen, as other gateways do: the least, 4 and 16 times.
_BUDGETS = {"low": 1024, "medium": 4096, "high": 16384, "xhigh": 32768, "max": 32768}
_NAMES = {"minimal": "low"}
_ORDER = ("low", "medium", "high", "xhigh", "max")


def write_thinking(
    body: dict[str, Any],
    said: Conversation,
    abilities: Abilities,
    losses: Losses,
    *,
    is_own: bool,
) -> None:
    """Write how much to think, and what was asked for but cannot be had as lost.

    ``is_own`` says that the call came in this protocol: there an effort does not switch thinking on.
    """
    if said.reasoning.thinking is not None and not is_own:
        body["thinking"] = said.reasoning.thinking  # the caller knows who answers
    effort = _NAMES.get(said.reasoning.effort, said.reasoning.effort)
    if not effort:
        return
    if effort == "none":
        body.setdefault("thinking", {"type": "disabled"})
    elif effort not in _ORDER:
        losses.drop("reasoning_effort")
    else:
        _write_effort(body, effort, abilities, losses)
        if not is_own and "thinking" not in body:
            _switch_on(body, effort, abilities, losses)


def _write_effort(body: dict[str, Any], effort: str, abilities: Abilities, losses: Losses) -> None:
    if not abilities.efforts:
        return
    taken = _nearest(effort, abilities.efforts)
    if taken != effort:
        losses.change("reasoning_effort", taken)
    body["output_config"] = {**body.get("output_config", {}), "effort": taken}


def _switch_on(body: dict[str, Any], effort: str, abilities: Abilities, losses: Losses) -> None:
    if _is_forced(body):
        if not abilities.efforts:
            losses.drop("reasoning_effort", "a tool is forced")
    elif abilities.is_adaptive:
        # Newer models leave the text out unless asked: a caller who asks for reasoning may read it.
        shown = {} if abilities.samples else {"display": "summarized"}
        body["thinking"] = {"type": "adaptive", **shown}
    elif not abilities.efforts:
        _budget(body, effort, losses)


def _budget(body: dict[str, Any], effort: str, losses: Losses) -> None:
    budget = min(_BUDGETS[effort], body["max_tokens"] - 1)
    if budget < MIN_BUDGET:
        losses.drop("reasoning_effort", "max_tokens leaves no room for thinking")
        return
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _is_forced(body: dict[str, Any]) -> bool:
    return body.get("tool_choice", {}).get("type") in ("any", "tool")


def _nearest(effort: str, taken: tuple[str, ...]) -> str:
    """Return the effort itself, or the highest below it that the model takes."""
    below = [name for name in taken if _ORDER.index(name) <= _ORDER.index(effort)]
    return below[-1] if below else taken[0]
