"""A trace in the terminal: a tree with times. Content is untrusted: control characters are made visible."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from santral.traces.question import FoundTrace, TraceSummary
from santral.traces.readable import (
    clock_time,
    depths,
    dollars,
    duration,
    messages,
    tokens,
    visible,
)
from santral.traces.record import SpanRecord, TraceRecord
from santral.traces.scores.score import GivenScore
from santral.wire.usage import CLASSES

#: Columns of a span's bar. Chosen: the whole line fits 80.
_BAR = 28
#: Characters of a message that are shown. Chosen.
_MOST_TEXT = 4000
COLUMNS = (
    "time",
    "trace",
    "route",
    "status",
    "duration",
    "ttft",
    "tokens",
    "cost",
    "cache",
    "tenant",
)


def summary_row(trace: TraceSummary) -> tuple[str, ...]:
    """Return a trace as a row of ``COLUMNS``."""
    status = str(trace.status) + (f" {trace.error}" if trace.error else "")
    return tuple(
        visible(cell)
        for cell in (
            clock_time(trace.started_at_us),
            trace.trace_id[:12],
            trace.route or "-",
            status,
            duration(trace.duration_us),
            duration(trace.ttft_us),
            tokens(trace.input_tokens, trace.output_tokens),
            dollars(trace.cost_nanousd),
            trace.cache,
            trace.tenant_id,
        )
    )


def draw_trace(found: FoundTrace) -> Tree:
    """Return everything about one trace as a tree."""
    record = found.trace
    tree = Tree(_headline(record), guide_style="dim")
    tree.add(_grid(_facts(record)))
    tree.add(Text("Timeline", style="bold")).add(_timeline(record))
    if record.usage is not None or record.cost_nanousd is not None:
        tree.add(Text("Tokens and cost", style="bold")).add(_grid(_bill(record)))
    for title, rows in (
        ("Attempts", _attempts(record)),
        ("Verdicts", _verdicts(record)),
        ("Sources (* cited)", _sources(record)),
        ("Scores", [_score(score) for score in found.scores]),
    ):
        if rows:
            tree.add(Text(title, style="bold")).add(_table(rows))
    if record.payload is not None:
        said = tree.add(Text("Payload, as the provider got it", style="bold"))
        for speaker, text in messages(record.payload.request):
            said.add(_grid([(speaker, _shortened(text))]))
        said.add(_grid([("answer", _shortened(record.payload.response))]))
    for other in found.others:
        tree.add(
            Text(f"same caller's trace: {visible(other.trace_id)} {visible(other.route)}", "dim")
        )
    return tree


def _headline(record: TraceRecord) -> Text:
    style = "red" if record.status >= 400 else "green"
    return Text.assemble(
        ("Trace ", "bold"),
        (record.trace_id, "bold cyan"),
        "  ",
        visible(record.route or record.requested_model or "no route"),
        "  ",
        (f"{record.status} {visible(record.error)}".strip(), style),
        "  ",
        duration(record.duration_us),
    )


def _facts(record: TraceRecord) -> list[tuple[str, str]]:
    mode = "stream" if record.is_streaming else "whole"
    flags = [
        n for n, on in (("cancelled", record.is_cancelled), ("degraded", record.is_degraded)) if on
    ]
    prompt = f"{record.prompt}@{record.prompt_version}" if record.prompt else ""
    variant = f"{record.experiment}: {record.variant}" if record.experiment else ""
    tags = " ".join(f"{key}={value}" for key, value in record.tags.items())
    facts = [
        ("time", f"{clock_time(record.started_at_us)} UTC"),
        ("request", record.request_id),
        ("tenant, key", f"{record.tenant_id}, {record.key_id}"),
        ("call", " ".join((record.dialect, mode, *flags))),
        ("deployment", f"{record.deployment} ({record.model})" if record.deployment else ""),
        ("first token", duration(record.ttft_us) if record.ttft_us is not None else ""),
        ("finished", record.finish_reason),
        ("lost", ", ".join(record.losses)),
        ("routed by", ", ".join(f"{name} {value}" for name, value in record.decision.items())),
        ("cache", _cache(record)),
        ("prompt", prompt),
        ("experiment", variant),
        ("session", record.session),
        ("user", record.user),
        ("tags", tags),
        ("caller's trace", record.caller_trace_id),
        ("config", record.config_hash[:12]),
    ]
    return [(name, visible(value)) for name, value in facts if value]


def _cache(record: TraceRecord) -> str:
    """Say what the caches did, which entry it was, and what that saved."""
    parts = [record.cache]
    if record.cache_similarity:
        parts.append(f"similarity {record.cache_similarity:.2f}")
    if record.cache_saved_nanousd:
        parts.append(f"saved {dollars(record.cache_saved_nanousd)}")
    if record.cache_entry:
        parts.append(f"entry {record.cache_entry}")
    return ", ".join(parts)


def _timeline(record: TraceRecord) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(min_width=16)
    table.add_column(min_width=_BAR)
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_row(*[Text(t, style="dim") for t in ("step", "", "start", "takes")])
    depth_of = depths(record.spans)
    for span in sorted(record.spans, key=lambda s: (s.start_us, -s.duration_us)):
        style = "red" if span.error else "cyan"
        label = "  " * min(depth_of.get(span.id, 0), 8) + visible(span.name)
        table.add_row(
            label + (f" ({visible(span.error)})" if span.error else ""),
            Text(_bar(span, record.duration_us), style=style),
            duration(span.start_us),
            duration(span.duration_us),
        )
    return table


def _bar(span: SpanRecord, total_us: int) -> str:
    scale = _BAR / max(1, total_us)
    start = min(_BAR - 1, max(0, int(span.start_us * scale)))
    width = min(_BAR - start, max(1, round(span.duration_us * scale)))
    return " " * start + "█" * width


def _bill(record: TraceRecord) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if record.usage is not None:
        counts = [(name, getattr(record.usage, name)) for name in CLASSES]
        rows += [(name, f"{count:,}") for name, count in counts if count]
        if record.usage.is_estimated:
            rows.append(("", "estimated: the provider reported no usage"))
    cost = dollars(record.cost_nanousd) if record.cost_nanousd is not None else "price unknown"
    version = f" (prices of {visible(record.price_version)})" if record.price_version else ""
    return [*rows, ("cost", cost + version)]


def _attempts(record: TraceRecord) -> list[tuple[str, ...]]:
    return [
        (
            f"{a.number}. {a.deployment}" + (f" ({a.purpose})" if a.purpose else ""),
            f"{a.provider} {a.model}",
            a.error or a.finish_reason or "ok",
            duration(a.duration_us),
            dollars(a.cost_nanousd),
        )
        for a in record.attempts
    ]


def _verdicts(record: TraceRecord) -> list[tuple[str, ...]]:
    return [
        (
            f"{v.place}: {v.check}",
            v.verdict + (f" {v.count}" if v.count else ""),
            v.action,
            v.reason,
            duration(v.duration_us),
        )
        for v in record.verdicts
    ]


def _sources(record: TraceRecord) -> list[tuple[str, ...]]:
    return [
        (
            f"[{s.number}]{'*' if s.is_cited else ''}",
            s.document,
            s.section,
            f"p. {s.page}" if s.page is not None else "",
            f"{s.score:.3f}",
        )
        for s in record.sources
    ]


def _score(score: GivenScore) -> tuple[str, ...]:
    said = "; ".join(text for text in (score.label, _shortened(score.comment)) if text)
    by = f"{score.source} {score.rater}".strip() + f" {score.evaluator_version}".rstrip()
    value = "-" if score.value is None else f"{score.value:g}"
    return (score.name, value, by, clock_time(score.at_us), said)


def _table(rows: Sequence[Sequence[str]]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for row in rows:
        table.add_row(*[Text(visible(cell)) for cell in row])
    return table


def _grid(rows: Sequence[tuple[str, str]]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        table.add_row(Text(visible(name), style="dim"), Text(value))
    return table


def _shortened(text: str) -> str:
    cut = f"… ({len(text):,} characters)" if len(text) > _MOST_TEXT else ""
    return visible(text[:_MOST_TEXT]) + cut
