"""What experiments cost: assignment of a request, and one look at an experiment with many.

Run as ``python -m benchmarks.experiments [--requests 100000]``. Prints microseconds of processor time for
each request with 0, 1 and 3 experiments of two arms, through the stage that requests pass, and seconds
for one analysis of the requests of that many units.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from santral.config.experiments import ExperimentConfig
from santral.config.schema import Config
from santral.experiments.analyse import Design, analyse
from santral.experiments.experiment import Experiment
from santral.experiments.units.store import Asked, units_before, units_seen
from santral.gateway.context import RequestContext
from santral.gateway.stages.assign import Assign
from santral.gateway.trial import Arm, Trial
from santral.secrets.pseudonym import Pseudonyms
from santral.traces.question import Progress
from santral.traces.record import ExposureRecord, TraceRecord
from santral.traces.store import TraceStore
from santral.wire.chat import Extras

ROUNDS, CALLS = 21, 2000
METRICS = ("cost_usd", "latency_ms", "ttft_ms", "error_rate", "refusal_rate", "retry_rate")


def assignment_us(experiments: int, **settings: Any) -> float:
    """Return the median cost of one request with so many experiments of two arms."""
    trials = tuple(trial(f"e{number}", **settings) for number in range(experiments))
    snapshot = SimpleNamespace(
        trials={"ask": trials} if trials else {},
        pseudonyms=Pseudonyms(Config.model_validate({"telemetry": {"hash_key": "env:KEY"}})),
    )
    stage, rounds = Assign(), []
    for _ in range(ROUNDS):
        contexts = [context(snapshot, number) for number in range(CALLS)]
        began = time.process_time()
        for ctx in contexts:
            stage(ctx)
        rounds.append((time.process_time() - began) / CALLS * 1e6)
    return statistics.median(rounds)


def trial(name: str, **settings: Any) -> Trial:
    arms = {"plain": {"weight": 1}, "new": {"weight": 1, "settings": {"temperature": 0}}}
    config = ExperimentConfig.model_validate({"salt": "s", "variants": arms, **settings})
    return Trial(
        experiment=Experiment.from_config(name, config),
        arms={"plain": Arm(), "new": Arm(settings={"temperature": 0})},
        tenants=frozenset(),
        tags=(),
        changes=frozenset({"settings"}),
        setting_names=frozenset({"temperature"}),
        models=frozenset(),
    )


def context(snapshot: Any, number: int) -> RequestContext:
    """Return what the stage looks at of a request."""
    asked = SimpleNamespace(extras=Extras(user=f"user-{number}"), fields={}, view=None)
    made = SimpleNamespace(
        snapshot=snapshot, route=SimpleNamespace(name="ask"), task=None, call=asked, asked=asked,
        caller=SimpleNamespace(
            tenant=SimpleNamespace(id="default"), key=SimpleNamespace(id="k", models=None, user_id="")
        ),
        request_id=f"r{number}", exposures=[], experiment="", variant="", arm_prompt="",
        arm_settings={}, arm_search={},
    )  # fmt: skip
    return cast(RequestContext, made)


async def look_s(requests: int) -> tuple[float, float]:
    """Return seconds of processor time for reading units, with the time before, and comparing."""
    store = TraceStore(Path(":memory:"))
    rng = np.random.default_rng(1)
    for first in range(0, requests, 5000):
        records = [record(number, rng) for number in range(first, min(first + 5000, requests))]
        await store.insert(records, Progress(segment=str(first)))
    asked = Asked(experiment="tone", since_us=10**15)
    began = time.process_time()
    seen = await store.ask(lambda conn: units_seen(conn, asked))
    past = await store.ask(lambda conn: units_before(conn, asked, "user", ["ask"], 0))
    read_s = time.process_time() - began
    began = time.process_time()
    analyse(seen, Design(control="plain", shares={"plain": 0.5, "new": 0.5}), METRICS, past)
    await store.close()
    return read_s, time.process_time() - began


def record(number: int, rng: np.random.Generator) -> TraceRecord:
    user = number // 2
    is_before = number % 10 == 0
    exposure = ExposureRecord(
        experiment="tone",
        variant="new" if user % 2 else "plain",
        unit=f"{user:016x}",
        propensity=0.5,
    )
    return TraceRecord(
        trace_id=f"{number:032x}", request_id=f"r{number}", tenant_id="default", key_id="k",
        route="ask", requested_model="ask", started_at_us=10**15 + (-1 if is_before else 1) * number - 1,
        duration_us=int(rng.integers(10**5, 10**6)), status=200, user=f"u{user}",
        cost_nanousd=int(rng.integers(1000, 9000)), exposures=[] if is_before else [exposure],
    )  # fmt: skip


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    options = parser.parse_args()
    for experiments in (0, 1, 3):
        plain = assignment_us(experiments)
        layered = assignment_us(experiments, layer="all", segment=(0.0, 1.0), share=0.99)
        print(f"{experiments} experiments: {plain:.2f} us a request; in layers {layered:.2f} us")
    read_s, compared_s = asyncio.run(look_s(options.requests))
    print(
        f"a look at {options.requests} requests: {read_s:.2f} s to read, {compared_s:.2f} s to compare"
    )


if __name__ == "__main__":
    main()
