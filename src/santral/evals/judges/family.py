"""Families of models: a judge is kind to its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from santral.evals.run import Run

#: What the names of a family begin with, after a vendor's path. Their owners name them so.
_FAMILIES: Mapping[str, str] = {
    "openai": r"gpt|chatgpt|o[1-9](?:-|$)|text-davinci|codex",
    "anthropic": r"claude",
    "google": r"gemini|gemma|palm|learnlm",
    "meta": r"(?:meta-)?llama|muse",
    "mistral": r"(?:open-)?(?:mistral|mixtral)|codestral|magistral|ministral|pixtral|devstral",
    "alibaba": r"qwen|qwq|qvq",
    "deepseek": r"deepseek",
    "xai": r"grok",
    "cohere": r"command|aya|c4ai",
    "microsoft": r"phi-|mai-",
    "amazon": r"nova|titan",
    "moonshot": r"kimi|moonshot",
    "zhipu": r"glm|chatglm",
    "ibm": r"granite",
    "nvidia": r"nemotron",
}
_PATTERNS = {name: re.compile(rf"(?:{starts})", re.I) for name, starts in _FAMILIES.items()}
_PARTS = re.compile(r"[/:.@]")


def family_of(model: str) -> str:
    """Return whose family a model is of, by its name (``bedrock/us.anthropic.claude-x`` is Anthropic's);
    a model that nothing is known of is its own family."""
    for part in reversed(_PARTS.split(model)):
        for name, pattern in _PATTERNS.items():
            if pattern.match(part):
                return name
    return model


def same_family(judges: Mapping[str, Iterable[str]], subjects: Iterable[str]) -> list[str]:
    """Return a warning for each judge with a model of a family it judges.

    ``judges`` are models by the judge's name, ``subjects`` the models whose answers are judged.
    """
    known = {family_of(subject): subject for subject in subjects if subject}
    return [
        f"The judge '{name}' ({model}) and what it judges ({known[family]}) are of one family, "
        f"{family}: models prefer answers of their own kind. Let another family judge."
        for name, models in judges.items()
        for model, family in ((model, family_of(model)) for model in models)
        if family in known
    ]


def family_warnings(run: Run) -> list[str]:
    """Return a warning for each judge of a run that judges answers of its own family."""
    judges = {name: models.split(", ") for name, models in run.head.judges.items()}
    return same_family(judges, sorted({sample.answer.model for sample in run.samples}))
