"""How much to think, in the words of each maker whose models Bedrock serves.

Sources: Claude: platform.claude.com, "Extended thinking" and "Effort"; Nova 2: docs.aws.amazon.com/nova,
"Extended thinking" (reasoningConfig); gpt-oss: OpenAI's reasoning_effort.
"""

from __future__ import annotations

from typing import Any

from santral.providers.anthropic.models import Abilities as Claude
from santral.providers.anthropic.models import abilities_of as claude_abilities
from santral.providers.bedrock.model import Abilities
from santral.providers.conversation.conversation import Conversation
from santral.providers.provider import ProviderCall
from santral.wire.loss import Losses

#: Budgets of Claudes that have no efforts. Specified: at least 1,024. Chosen: as for Anthropic itself.
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 4096}
_MOST = 16384
_LEAST = 1024


def write_thinking(
    body: dict[str, Any], call: ProviderCall, said: Conversation, able: Abilities, *, forced: bool
) -> dict[str, Any]:
    """Return the model's own fields that say how much to think; ``forced`` forbids Claude to.

    Anthropic's ``thinking`` is read where the request has it, also among its native fields.
    """
    effort, model, losses = said.reasoning.effort, call.model, call.losses
    thinking = said.reasoning.thinking or call.native.get("thinking")
    if able.maker == "anthropic":
        if thinking is not None and not forced:
            return {"thinking": thinking} | _own(call)
        return _claude(body, effort, claude_abilities(model), losses, forced=forced) | _own(call)
    if thinking is not None and not effort:
        losses.drop("thinking", "only Claude takes it")
    if not effort:
        return {}
    if able.maker == "openai":
        return {"reasoning_effort": effort}
    if able.maker == "nova" and "nova-2" in model:
        if effort == "none":
            return {"reasoningConfig": {"type": "disabled"}}
        word = effort if effort in ("low", "medium", "high") else "high"
        return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": word}}
    if effort != "none":
        losses.drop("reasoning_effort", "the model does not take it")
    return {}


def _own(call: ProviderCall) -> dict[str, Any]:
    """Return what an Anthropic caller said in words that only Claude knows: an effort with a budget."""
    config = call.native.get("output_config") if call.dialect == "messages" else None
    return {} if config is None else {"output_config": config}


def _claude(
    body: dict[str, Any], effort: str, claude: Claude, losses: Losses, *, forced: bool
) -> dict[str, Any]:
    if effort in ("", "none"):
        return {}
    more: dict[str, Any] = {}
    if claude.efforts:
        words = [word for word in claude.efforts if word == effort]
        taken = words[0] if words else ("low" if effort == "minimal" else claude.efforts[-1])
        if taken != effort:
            losses.change("reasoning_effort", taken)
        more["output_config"] = {"effort": taken}
    if forced or "any" in body.get("toolConfig", {}).get("toolChoice", {}):
        losses.drop("reasoning_effort", "a tool is forced")
    elif claude.is_adaptive:
        more["thinking"] = {"type": "adaptive"}
        _fix_temperature(body, losses)
    else:
        _budget(body, more, effort, losses)
    return more


def _fix_temperature(body: dict[str, Any], losses: Losses) -> None:
    if body.get("inferenceConfig", {}).pop("temperature", 1) != 1:
        losses.drop("temperature", "thinking fixes it")


def _budget(body: dict[str, Any], more: dict[str, Any], effort: str, losses: Losses) -> None:
    """A budget has to stay below the limit of the answer."""
    limit = body.get("inferenceConfig", {}).get("maxTokens")
    budget = _BUDGETS.get(effort, _MOST)
    if limit is not None:
        budget = min(budget, limit - 1)
    if budget < _LEAST:
        losses.drop("reasoning_effort", "max_tokens leaves no room for thinking")
        return
    more["thinking"] = {"type": "enabled", "budget_tokens": budget}
    if limit is None:
        body.setdefault("inferenceConfig", {})["maxTokens"] = budget + 4096
    _fix_temperature(body, losses)
