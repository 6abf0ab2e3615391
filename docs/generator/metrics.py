"""docs/reference/metrics.md from the table in traces/metrics.py."""

from __future__ import annotations

from generator.markdown import code, page, table
from santral.traces.metric import METRICS, Label, Metric
from santral.traces.metrics import OTHER

INTRO = f"""\
Each process serves its own metrics at `GET /metrics` in the Prometheus text format: the gateway on
its port, the control process on its own. Labels are closed sets: a label takes the values listed
here, or at most so many different ones; what comes after that is counted under `{OTHER}`. No label
ever holds a tenant, a key, a user or a text. Times are seconds, money is nano-USD (billionths of a
US dollar)."""


def metrics_page() -> str:
    """Return the page."""
    rows = [(code(m.name), m.kind, _labels(m), m.help) for m in METRICS]
    buckets = [
        f"- {code(m.name)}: {', '.join(f'{edge:g}' for edge in m.buckets)}"
        for m in METRICS
        if m.buckets
    ]
    return page(
        "Metrics",
        INTRO,
        table(("Metric", "Kind", "Labels", "Meaning"), rows),
        "## Buckets of the histograms, in seconds",
        "\n".join(buckets),
    )


def _labels(metric: Metric) -> str:
    return "; ".join(_label(label) for label in metric.labels) or "none"


def _label(label: Label) -> str:
    if label.values:
        return f"{code(label.name)} ({', '.join(label.values)})"
    return f"{code(label.name)} (at most {label.bound})"
