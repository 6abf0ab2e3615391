"""Which ``anthropic-beta`` flags of a caller go on to Anthropic: those that change a message.

A flag the API does not know is a 400 for the whole request, and some reach beyond messages, so only
these families pass; the date at the end of a flag is its version. Source: the flags in
anthropic-sdk-python 2.12, ``types/anthropic_beta_param.py``.
"""

from __future__ import annotations

import re

from santral.wire.loss import Losses

_FAMILIES = frozenset({
    "advanced-tool-use", "advisor-tool", "cache-diagnosis", "claude-code", "code-execution",
    "compact", "computer-use", "context-1m", "context-management", "dev-full-thinking", "effort",
    "extended-cache-ttl", "fallback-credit", "fast-mode", "files-api", "fine-grained-tool-streaming",
    "inline-tools", "interleaved-thinking", "max-tokens-3-5-sonnet", "mcp-client",
    "mid-conversation-output-config", "mid-conversation-system-clear-at",
    "mid-conversation-tool-changes", "model-context-window-exceeded", "output-128k", "output-300k",
    "pdfs", "prompt-caching", "prompt-caching-scope", "redact-thinking", "server-side-fallback",
    "skills", "structured-outputs", "task-budgets", "thinking-binding-controls",
    "thinking-display-updates", "thinking-token-count", "token-counting",
    "token-efficient-tools", "tool-examples", "tool-search-tool", "web-fetch", "web-search",
})  # fmt: skip

_FLAG = re.compile(r"([a-z0-9-]+?)-\d{4}-\d{2}-\d{2}|([a-z0-9-]+?)-\d{8}")


def allowed_betas(header: str, losses: Losses) -> str:
    """Return the flags that go on, as one header; the others are noted in ``losses``."""
    kept: list[str] = []
    for flag in (part.strip() for part in header.split(",")):
        found = _FLAG.fullmatch(flag)
        if found is not None and (found[1] or found[2]) in _FAMILIES:
            kept.append(flag)
        elif flag:
            losses.drop(f"anthropic-beta.{re.sub('[^A-Za-z0-9_.-]', '?', flag[:64])}")
    return ",".join(dict.fromkeys(kept))
