"""Runs as somebody may see them: what was asked and said is for roles that may read payloads."""

from __future__ import annotations

from msgspec.structs import replace

from santral.evals.answer import Answer
from santral.evals.example import Example
from santral.evals.run import Run, Sample
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId

#: What stands for words that a role may not read.
HIDDEN = "[hidden: needs payloads.read]"


def may_read_words(by: Principal, tenant: str) -> bool:
    """Whether somebody may read what was asked and answered there."""
    return by.may("payloads.read", TenantId(tenant))


def run_shown(run: Run, by: Principal, tenant: str) -> Run:
    """Return a run with its words, or with numbers alone for who may not read them."""
    if may_read_words(by, tenant):
        return run
    return Run(
        head=run.head,
        samples=[without_words(sample) for sample in run.samples],
        examples={id: example_without_words(one) for id, one in run.examples.items()},
    )


def without_words(sample: Sample) -> Sample:
    """Return a sample of which numbers, labels of errors and costs are left."""
    said = sample.answer
    answer = Answer(
        text=HIDDEN if said.text else "",
        finish_reason=said.finish_reason,
        model=said.model,
        deployment=said.deployment,
        prompt=said.prompt,
        prompt_version=said.prompt_version,
        usage=said.usage,
        cost_nanousd=said.cost_nanousd,
        latency_us=said.latency_us,
        ttft_us=said.ttft_us,
        cache=said.cache,
        trace_id=said.trace_id,
        error=said.error,
        is_replayed=said.is_replayed,
    )
    return replace(
        sample, answer=answer, scores=[replace(score, reason="") for score in sample.scores]
    )


def example_without_words(example: Example) -> Example:
    """Return an example of which only what groups it is left."""
    return Example(
        id=example.id,
        input=HIDDEN,
        metadata=example.metadata,
        cluster=example.cluster,
        split=example.split,
    )
