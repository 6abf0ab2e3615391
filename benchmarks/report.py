"""Turns measurements into rows, and rows into JSON, Markdown and a table on the terminal."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Measurement
from benchmarks.scenarios import Scenario

#: What the ratios are taken to.
FLOOR, PEER, BASE = "nginx", "litellm", "direct"


@dataclass(frozen=True)
class Row:
    """A target in a scenario: medians over the rounds. Times in microseconds."""

    scenario: str
    target: str
    rounds: int
    answers: int
    faults: int
    cpu_us: float | None = None
    cpu_us_least: float | None = None
    cpu_us_most: float | None = None
    tree_us: float | None = None
    delta_us: float | None = None
    rps: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None
    added_p50_us: float | None = None
    added_p99_us: float | None = None
    first_event_us: float | None = None
    added_first_event_us: float | None = None
    gap_p50_us: float | None = None
    gap_p99_us: float | None = None
    events_per_stream: float | None = None
    reads_per_stream: float | None = None
    times_floor: float | None = None
    times_cheaper_than_peer: float | None = None
    remark: str = ""


def rows_of(results: Sequence[Measurement]) -> list[Row]:
    """Sum up the rounds, in the order in which scenarios and targets first ran."""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for result in results:
        groups.setdefault((result.scenario, result.target), []).append(result)
    base = {(m.scenario, m.round): m for m in results if m.target == BASE and m.answers}
    cpu = {key: _median(group, _cpu_us) for key, group in groups.items()}
    return [
        _row(group, base, cpu.get((scenario, FLOOR)), cpu.get((scenario, PEER)))
        for (scenario, _), group in groups.items()
    ]


def _row(
    group: Sequence[Measurement],
    base: dict[tuple[str, int], Measurement],
    floor_us: float | None,
    peer_us: float | None,
) -> Row:
    first = group[0]
    cpu = sorted(value for m in group if (value := _cpu_us(m)) is not None)
    mine = statistics.median(cpu) if cpu else None
    is_gateway = first.target != BASE

    def added(section: str, field: str) -> float | None:
        def one(m: Measurement) -> float | None:
            return _less(
                _read(m, section, field), _read(base.get((m.scenario, m.round)), section, field)
            )

        return _median(group, one) if is_gateway else None

    return Row(
        first.scenario,
        first.target,
        rounds=sum(1 for m in group if m.answers),
        answers=sum(m.answers for m in group),
        faults=sum(m.faults for m in group),
        cpu_us=mine,
        cpu_us_least=cpu[0] if cpu else None,
        cpu_us_most=cpu[-1] if cpu else None,
        tree_us=_median(group, lambda m: m.tree_ns / 1000 / m.answers if m.answers else None),
        delta_us=_median(group, _delta_us),
        rps=_median(group, lambda m: m.load["rps"] if m.answers else None),
        p50_us=_median(group, lambda m: _read(m, "latency_us", "p50")),
        p99_us=_median(group, lambda m: _read(m, "latency_us", "p99")),
        added_p50_us=added("latency_us", "p50"),
        added_p99_us=added("latency_us", "p99"),
        first_event_us=_median(group, lambda m: _read(m, "first_event_us", "p50")),
        added_first_event_us=added("first_event_us", "p50"),
        gap_p50_us=_median(group, lambda m: _read(m, "gap_us", "p50")),
        gap_p99_us=_median(group, lambda m: _read(m, "gap_us", "p99")),
        events_per_stream=_median(
            group, lambda m: m.load["events"] / m.answers if m.load.get("events") else None
        ),
        reads_per_stream=_median(group, lambda m: m.load.get("reads_per_stream")),
        times_floor=mine / floor_us if is_gateway and mine and floor_us else None,
        times_cheaper_than_peer=peer_us / mine if is_gateway and mine and peer_us else None,
        remark=_remark(group),
    )


def _remark(group: Iterable[Measurement]) -> str:
    """Say what keeps a row from being a plain result."""
    remarks: dict[str, None] = {}
    for m in group:
        if m.reason:
            remarks[m.reason] = None
        if m.faults:
            kinds = ", ".join(f"{count} {kind}" for kind, count in m.load["fault_kinds"].items())
            remarks[f"faults: {kinds}"] = None
        elif not m.reason and m.upstream != (0 if m.is_cached else m.answers):
            remarks[f"upstream saw {m.upstream} requests for {m.answers} answers"] = None
    return "; ".join(remarks)


def _cpu_us(m: Measurement) -> float | None:
    return m.worker_ns / 1000 / m.answers if m.answers else None


def _delta_us(m: Measurement) -> float | None:
    events = m.load.get("events")
    return m.worker_ns / 1000 / events if events else None


def _read(m: Measurement | None, section: str, field: str) -> float | None:
    return m.load.get(section, {}).get(field) if m else None


def _less(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _median(
    group: Iterable[Measurement], value: Callable[[Measurement], float | None]
) -> float | None:
    found = [v for m in group if (v := value(m)) is not None]
    return statistics.median(found) if found else None


# ---- showing ----

Column = tuple[str, Callable[[Row], str]]


def _us(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value / 1000:,.2f}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}x"


_WHOLE: tuple[Column, ...] = (
    ("CPU us", lambda r: _us(r.cpu_us)),
    ("least-most", lambda r: f"{_us(r.cpu_us_least)}-{_us(r.cpu_us_most)}" if r.cpu_us else "-"),
    ("tree us", lambda r: _us(r.tree_us)),
    ("of nginx", lambda r: _times(r.times_floor)),
    ("LiteLLM is", lambda r: _times(r.times_cheaper_than_peer)),
    ("answers/s", lambda r: _us(r.rps)),
    ("p50 ms", lambda r: _ms(r.p50_us)),
    ("p99 ms", lambda r: _ms(r.p99_us)),
    ("+p50 ms", lambda r: _ms(r.added_p50_us)),
    ("+p99 ms", lambda r: _ms(r.added_p99_us)),
)
_STREAM: tuple[Column, ...] = (
    ("CPU ms", lambda r: _ms(r.cpu_us)),
    ("tree ms", lambda r: _ms(r.tree_us)),
    ("us/event", lambda r: "-" if r.delta_us is None else f"{r.delta_us:.1f}"),
    ("of nginx", lambda r: _times(r.times_floor)),
    ("LiteLLM is", lambda r: _times(r.times_cheaper_than_peer)),
    ("streams/s", lambda r: _us(r.rps)),
    ("+first ms", lambda r: _ms(r.added_first_event_us)),
    ("gap p50 ms", lambda r: _ms(r.gap_p50_us)),
    ("gap p99 ms", lambda r: _ms(r.gap_p99_us)),
    ("events", lambda r: "-" if r.events_per_stream is None else f"{r.events_per_stream:.0f}"),
    ("reads", lambda r: "-" if r.reads_per_stream is None else f"{r.reads_per_stream:.0f}"),
)
_COMMON: tuple[Column, ...] = (
    ("faults", lambda r: f"{r.faults:,} of {r.answers + r.faults:,}"),
    ("remark", lambda r: r.remark),
)


def columns(scenario: Scenario) -> tuple[Column, ...]:
    """Return the columns that say something about a scenario."""
    return (
        ("gateway", lambda r: r.target),
        *(_STREAM if scenario.is_streaming else _WHOLE),
        *_COMMON,
    )


def print_rows(console: Console, scenarios: Sequence[Scenario], rows: Sequence[Row]) -> None:
    """Print a table per scenario."""
    for scenario in scenarios:
        title = f"{scenario.name}: {scenario.title}"
        table = Table(
            title=title, title_justify="left", title_style="bold", box=SIMPLE, padding=(0, 1)
        )
        for name, _ in (shown := columns(scenario)):
            is_text = name in ("gateway", "remark")
            table.add_column(name, justify="left" if is_text else "right", no_wrap=name != "remark")
        for row in (r for r in rows if r.scenario == scenario.name):
            table.add_row(*(value(row) for _, value in shown), style="red" if row.faults else None)
        console.print(table)


def markdown(conditions: dict[str, Any], scenarios: Sequence[Scenario], rows: Sequence[Row]) -> str:
    """Return the same tables as a page, with the conditions above them."""
    lines = [
        "# Benchmark results",
        "",
        "Made by `make bench`; how to read it: [README](../README.md).",
        "",
    ]
    lines += [
        f"- {name}: {value}"
        for name, value in conditions.items()
        if not isinstance(value, dict | list)
    ]
    lines += [
        "",
        "| Gateway | Version | On | Start s | Idle MB | After MB |",
        "| --- | --- | --- | --: | --: | --: |",
    ]
    for name, facts in conditions["gateways"].items():
        shown = (_tenths(facts["start_s"]), _mb(facts["idle_bytes"]), _mb(facts["after_bytes"]))
        lines.append(f"| {name} | {facts['version']} | {facts['features']} | {' | '.join(shown)} |")
    for scenario in scenarios:
        shown = columns(scenario)
        lines += [
            "",
            f"## {scenario.name}",
            "",
            f"{scenario.title[0].upper()}{scenario.title[1:]}.",
            "",
        ]
        lines.append("| " + " | ".join(name for name, _ in shown) + " |")
        lines.append(
            "| "
            + " | ".join("---" if n in ("gateway", "remark") else "--:" for n, _ in shown)
            + " |"
        )
        of_this = (r for r in rows if r.scenario == scenario.name)
        lines += ["| " + " | ".join(value(r) for _, value in shown) + " |" for r in of_this]
    skipped = [f"- {name}: {why}" for name, why in conditions["not_run"].items()]
    return "\n".join([*lines, *(["", "## Not run", "", *skipped] if skipped else []), ""])


def _tenths(value: float) -> str:
    return f"{value:.1f}" if value else "-"


def _mb(value: int) -> str:
    return f"{value / 1e6:.0f}" if value else "-"


def write_results(
    folder: Path, name: str, conditions: dict[str, Any], scenarios: Sequence[Scenario],
    results: Sequence[Measurement],
) -> Path:  # fmt: skip
    """Write ``<name>.json``, and ``latest.json`` and ``latest.md`` beside it."""
    rows = rows_of(results)
    document = {
        "conditions": conditions,
        "scenarios": [asdict(s) for s in scenarios],
        "rows": [asdict(r) for r in rows],
        "rounds": [asdict(m) for m in results],
    }
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1) + "\n"
    path = folder / f"{name}.json"
    path.write_text(text)
    (folder / "latest.json").write_text(text)
    (folder / "latest.md").write_text(markdown(conditions, scenarios, rows))
    return path
