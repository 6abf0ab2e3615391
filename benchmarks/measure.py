"""Runs the scenarios on the gateways, all of them up, round after round in turn."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cpu import CpuTime, cpu_time, machine_busy_ns
from benchmarks.peers.peer import Target
from benchmarks.processes import Children
from benchmarks.scenarios import Scenario
from benchmarks.script import COUNTER, EVENTS, Script, messages_body, request_body
from benchmarks.tools import Load, LoadFailedError, Upstream, run_load

#: Requests of one load; far above what its seconds allow.
_MANY = 4_000_000
#: Numbers set aside for the requests of one load, so that no two loads send the same one.
_NUMBERS = 10_000_000
#: Warm-up of a target: when it has just started (Node compiles what it has run some thousand times),
#: at its first round of a scenario, and later.
_COLD_REQUESTS, _COLD_S = 5000, 8.0
_FIRST_WARM_UP_S, _WARM_UP_S = 1.0, 0.3
#: For what a gateway does after the last answer (records, settlement).
_AFTERWORK_S = 0.1


@dataclass(frozen=True)
class Cores:
    """Who runs where. With one core everything shares it, and the figures say so."""

    gateway: int | None
    load: int | None

    @classmethod
    def of_this_machine(cls) -> Cores:
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[1]) if len(usable) > 1 else cls(None, None)


@dataclass(frozen=True)
class Measurement:
    """One load on one target."""

    scenario: str
    target: str
    round: int
    #: What the load generator reported.
    load: dict[str, Any]
    worker_ns: int = 0
    tree_ns: int = 0
    #: Chat requests the provider saw meanwhile.
    upstream: int = 0
    #: Whether the provider was to see none of them.
    is_cached: bool = False
    #: Share of the machine's CPU that went to anything but this measurement.
    others: float = 0.0
    #: Why it was not run, or why it does not count.
    reason: str = ""

    @property
    def answers(self) -> int:
        return int(self.load.get("answers", 0))

    @property
    def faults(self) -> int:
        return int(self.load.get("faults", 0))


@dataclass(frozen=True)
class _Meter:
    """Every clock that is read before and after a load."""

    workers: CpuTime
    tree: CpuTime
    upstream: CpuTime
    load_ns: int
    machine_ns: int
    wall_ns: int

    @classmethod
    def read(cls, workers: Sequence[int], tree: Sequence[int], upstream: int) -> _Meter:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return cls(
            cpu_time(workers),
            cpu_time(tree),
            cpu_time([upstream]),
            int((ended.ru_utime + ended.ru_stime) * 1e9),
            machine_busy_ns(),
            time.monotonic_ns(),
        )

    def others_since(self, before: _Meter) -> float:
        """Share of the machine that worked for somebody else; ticks make it rough."""
        ours = {**self.tree.threads, **self.upstream.threads}
        ours_ns = CpuTime(ours).since(CpuTime({**before.tree.threads, **before.upstream.threads}))
        busy_ns = self.machine_ns - before.machine_ns - ours_ns - (self.load_ns - before.load_ns)
        return max(0.0, busy_ns / (self.wall_ns - before.wall_ns) / (os.cpu_count() or 1))


@dataclass
class Bench:
    """Everything that stands while measurements are made."""

    children: Children
    upstream: Upstream
    script: Script
    folder: Path
    cores: Cores
    is_quick: bool = False
    _first: int = 0
    _warm: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    _started: set[str] = field(default_factory=set[str])
    _capacity: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def rounds(
        self,
        scenarios: Sequence[Scenario],
        targets: Sequence[Target],
        rounds: int,
        *,
        until: float,
        tell: Callable[[Measurement], None],
    ) -> Iterator[Measurement]:
        """Measure every scenario on every target ``rounds`` times, interleaved, until the time is up."""
        for number in range(1, rounds + 1):
            for scenario in scenarios:
                for target in targets:
                    if not target.can(scenario.feat):
                        continue
                    if time.monotonic() > until:
                        return
                    result = self.measure(scenario, target, number)
                    tell(result)
                    yield result

    def measure(self, scenario: Scenario, target: Target, number: int = 1) -> Measurement:
        """Load one target once, after a warm-up, and read what it cost."""
        if reason := self._cannot_hold(scenario, target):
            return Measurement(scenario.name, target.name, number, {}, reason=reason)
        self.upstream.script(delay_ms=scenario.delay_ms, gap_ms=scenario.gap_ms)
        try:
            self._warm_up(scenario, target)
            result = self._count(scenario, target, number)
        except LoadFailedError as error:
            return Measurement(scenario.name, target.name, number, {}, reason=str(error))
        if scenario.name == "closed-32" and not result.faults:
            self._capacity.setdefault(target.name, []).append(float(result.load["rps"]))
        return result

    def _count(self, scenario: Scenario, target: Target, number: int) -> Measurement:
        workers, tree = target.workers(), target.tree()
        seen, before = self.upstream.answered(), _Meter.read(workers, tree, self.upstream.pid)
        load = self._load(scenario, target, scenario.seconds)
        time.sleep(_AFTERWORK_S)
        after = _Meter.read(workers, tree, self.upstream.pid)
        return Measurement(
            scenario.name,
            target.name,
            number,
            load,
            after.workers.since(before.workers),
            after.tree.since(before.tree),
            self.upstream.answered() - seen,
            scenario.is_cached,
            after.others_since(before),
        )

    def _load(
        self, scenario: Scenario, target: Target, seconds: float, most: int = _MANY
    ) -> dict[str, Any]:
        self._first += _NUMBERS
        body = self._body(target.model_for(scenario.feat), scenario)
        load = Load(
            target.port,
            body,
            self.script.text,
            path="/v1/messages" if scenario.is_messages else target.path,
            headers=target.headers,
            connections=scenario.connections,
            requests=max(1, min(most, int(scenario.rate * seconds))) if scenario.rate else most,
            seconds=seconds,
            rate=scenario.rate,
            is_streaming=scenario.is_streaming,
            is_messages=scenario.is_messages,
            events=target.events if target.events == EVENTS and scenario.is_streaming else 0,
            first=self._first,
        )
        return run_load(self.children, load, core=self.cores.load)

    def _body(self, model: str, scenario: Scenario) -> Path:
        form = f"{scenario.prompt}-{scenario.feat}-{int(scenario.is_streaming)}"
        path = self.folder / f"request-{model}-{form}.json"
        if not path.exists():
            path.write_text(_request(model, scenario))
        return path

    def _warm_up(self, scenario: Scenario, target: Target) -> None:
        key = (scenario.name, target.name)
        if self.is_quick or key in self._warm:
            self._load(scenario, target, _WARM_UP_S)
        elif target.name in self._started:
            self._load(scenario, target, _FIRST_WARM_UP_S)
        else:
            self._load(scenario, target, _COLD_S, _COLD_REQUESTS)
        self._started.add(target.name)
        self._warm.add(key)

    def _cannot_hold(self, scenario: Scenario, target: Target) -> str:
        known = self._capacity.get(target.name)
        if known and (most := statistics.median(known)) < scenario.needs_capacity:
            return f"not run: it manages about {most:.0f}/s"
        return ""


def _request(model: str, scenario: Scenario) -> str:
    if scenario.is_messages:
        return messages_body(model, is_streaming=scenario.is_streaming)
    body = request_body(model, scenario.prompt, is_streaming=scenario.is_streaming)
    return body.replace(COUNTER, "unchanged") if scenario.is_cached else body
