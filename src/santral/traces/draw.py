"""A trace in the terminal: a tree with times. Content is untrusted: control characters are made visible."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from santral.traces.observe import TOKEN_CLASSES
from santral.traces.question import FoundTrace, TraceSummary
from santral.traces.record import SpanRecord, TraceRecord

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
    ):
        if rows:
            tree.add(Text(title, style="bold")).add(_table(rows))
    if record.payload is not None:
        said = tree.add(Text("Payload, as it was sent (masked)", style="bold"))
        for speaker, text in messages(record.payload.request):
            said.add(_grid([(speaker, _shortened(text))]))
        said.add(_grid([("answer", _shortened(record.payload.response))]))
    for other in found.others:
        tree.add(
            Text(f"same caller's trace: {visible(other.trace_id)} {visible(other.route)}", "dim")
        )
    return tree


def visible(text: str) -> str:
    """Return ``text`` with characters that steer a terminal or turn its direction made visible."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible_character(c) for c in text)


def messages(request: str) -> Iterable[tuple[str, str]]:
    """Yield who said what in a stored request; the whole text where it is no list of messages."""
    try:
        said = json.loads(request)
    except ValueError:
        said = None
    if not isinstance(said, list):
        yield "request", request
        return
    for message in cast(list[Any], said):
        fields = (
            cast(dict[str, Any], message) if isinstance(message, dict) else {"content": message}
        )
        content = fields.get("content")
        yield str(fields.get("role", "?")), content if isinstance(content, str) else _dump(fields)


def duration(us: int | None) -> str:
    """Return microseconds for a person: 840 us, 12.3 ms, 1.84 s."""
    if us is None:
        return "-"
    if us < 1000:
        return f"{us} us"
    return (
        f"{us / 1000:.3g} ms"
        if us < 999_500
        else f"{us / 1e6:.3g} s"
        if us < 1e8
        else f"{us / 1e6:.0f} s"
    )


def dollars(nanousd: int | None) -> str:
    """Return a cost for a person, to the digits that matter; a dash where the price is unknown."""
    if nanousd is None:
        return "-"
    if nanousd == 0:
        return "$0"
    usd = nanousd / 1e9
    return (
        f"${usd:.2f}" if usd >= 1 else f"${usd:.3g}" if usd >= 0.001 else f"${usd:.9f}".rstrip("0")
    )


def tokens(given: int | None, made: int | None) -> str:
    """Return tokens in and out."""
    return "-" if given is None else f"{given:,} > {made or 0:,}"


def clock_time(us: int) -> str:
    """Return the UTC date and time of a moment."""
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _visible_character(c: str) -> str:
    if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp"):
        return c
    return " " if c == "\t" else f"<{ord(c):02x}>"


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
        ("cache", record.cache),
        ("prompt", prompt),
        ("experiment", variant),
        ("session", record.session),
        ("user", record.user),
        ("tags", tags),
        ("caller's trace", record.caller_trace_id),
        ("config", record.config_hash[:12]),
    ]
    return [(name, visible(value)) for name, value in facts if value]


def _timeline(record: TraceRecord) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(min_width=16)
    table.add_column(min_width=_BAR)
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_row(*[Text(t, style="dim") for t in ("step", "", "start", "takes")])
    depths = _depths(record.spans)
    for span in sorted(record.spans, key=lambda s: (s.start_us, -s.duration_us)):
        style = "red" if span.error else "cyan"
        label = "  " * min(depths.get(span.id, 0), 8) + visible(span.name)
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


def _depths(spans: Sequence[SpanRecord]) -> dict[str, int]:
    """Return how deep each span lies; parents that are missing or run in a circle count as none."""
    parents = {span.id: span.parent_id for span in spans}
    depths: dict[str, int] = {}
    for span in spans:
        at, depth = span.parent_id, 0
        while at in parents and depth < len(spans):
            at, depth = parents[at], depth + 1
        depths[span.id] = depth if depth < len(spans) else 0
    return depths


def _bill(record: TraceRecord) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if record.usage is not None:
        counts = [(name, getattr(record.usage, name)) for name in TOKEN_CLASSES]
        rows += [(name, f"{count:,}") for name, count in counts if count]
        if record.usage.is_estimated:
            rows.append(("", "estimated: the provider reported no usage"))
    cost = dollars(record.cost_nanousd) if record.cost_nanousd is not None else "price unknown"
    version = f" (prices of {visible(record.price_version)})" if record.price_version else ""
    return [*rows, ("cost", cost + version)]


def _attempts(record: TraceRecord) -> list[tuple[str, ...]]:
    return [
        (
            f"{a.number}. {a.deployment}",
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


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
