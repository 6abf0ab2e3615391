"""Every metric: its name, kind, labels and help text. The reference page is made from this table."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from santral.traces.record import CACHE_OUTCOMES, CACHE_SERVED
from santral.wire.usage import CLASSES

Kind = Literal["counter", "gauge", "histogram"]
#: How the numbers of several processes become one.
Across = Literal["sum", "max", "min"]

#: Seconds. OpenTelemetry's gen_ai.server.request.duration: 0.01 * 2**k. Specified.
_DURATION_S = tuple(round(0.01 * 2**k, 2) for k in range(14))
#: Seconds. OpenTelemetry's gen_ai.server.time_to_first_token. Specified.
_TTFT_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
#: Seconds around the 20 ms that DESIGN.md promises for p99. Chosen.
_LAG_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1)


class Label(Struct, frozen=True):
    """One label: its values are declared, or at most ``bound`` different ones are kept apart."""

    name: str
    values: tuple[str, ...] = ()
    bound: int = 64


class Metric(Struct, frozen=True, kw_only=True):
    """One row of the table of metrics."""

    name: str
    kind: Kind
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    across: Across = "sum"


_ROUTE = Label("route", bound=256)
_DEPLOYMENT = Label("deployment", bound=256)
_STATUS = Label("status", bound=40)
_DIALECT = Label(
    "dialect",
    ("chat", "responses", "messages", "completions", "embeddings", "rerank", "moderations"),
)
_CLASS = Label("class", CLASSES)

METRICS: tuple[Metric, ...] = (
    Metric(
        name="santral_requests_total",
        kind="counter",
        help="Requests answered, by the HTTP status that the caller saw.",
        labels=(_ROUTE, _STATUS, _DIALECT),
    ),
    Metric(
        name="santral_request_duration_seconds",
        kind="histogram",
        help="From the request's last byte in to the answer's last byte out.",
        labels=(_ROUTE,),
        buckets=_DURATION_S,
    ),
    Metric(
        name="santral_ttft_seconds",
        kind="histogram",
        help="From the request to the first content that a caller could read.",
        labels=(_ROUTE,),
        buckets=_TTFT_S,
    ),
    Metric(
        name="santral_overhead_seconds",
        kind="histogram",
        help="What Santral added: the request's duration less that of its attempts.",
        labels=(_ROUTE,),
        buckets=_TTFT_S,
    ),
    Metric(
        name="santral_tokens_total",
        kind="counter",
        help="Tokens by billing class; the classes are disjoint.",
        labels=(_ROUTE, _CLASS),
    ),
    Metric(
        name="santral_cost_nanousd_total",
        kind="counter",
        help="Cost in billionths of a US dollar, of requests whose price is known.",
        labels=(_ROUTE,),
    ),
    Metric(
        name="santral_cost_unknown_total",
        kind="counter",
        help="Requests that used tokens for which no price is known.",
        labels=(_ROUTE,),
    ),
    Metric(
        name="santral_limits_uncoordinated",
        kind="gauge",
        across="max",
        help="1 while the Redis of limits does not answer and rules hold as each of them says.",
    ),
    Metric(
        name="santral_limits_store_errors_total",
        kind="counter",
        help="Times that the Redis of limits could not be asked.",
    ),
    Metric(
        name="santral_limits_dropped_total",
        kind="counter",
        help="Settlements that waited too long for Redis; the ledger has them.",
    ),
    Metric(
        name="santral_limits_holds",
        kind="gauge",
        help="Requests that hold a part of a limit now.",
    ),
    Metric(
        name="santral_limits_waiting",
        kind="gauge",
        help="Requests that wait for room in a limit now.",
    ),
    Metric(
        name="santral_limits_turned_away_total",
        kind="counter",
        help="Requests that might have waited for room, had not too many others.",
    ),
    Metric(
        name="santral_cache_total",
        kind="counter",
        help="Requests by what the caches said; collapsed ones shared another's upstream call.",
        labels=(_ROUTE, Label("outcome", CACHE_OUTCOMES)),
    ),
    Metric(
        name="santral_citations_total",
        kind="counter",
        help="Numbers that answers cited: made into citations, or dropped as never given.",
        labels=(Label("result", ("made", "dropped")),),
    ),
    Metric(
        name="santral_cache_lookups_total",
        kind="counter",
        help="Questions to a tier of the caches; semantic_shadow serves nothing.",
        labels=(
            Label("tier", ("memory", "redis", "semantic_serve", "semantic_shadow")),
            Label("result", ("hit", "miss")),
        ),
    ),
    Metric(
        name="santral_cache_saved_usd_total",
        kind="counter",
        help="What the answers that caches served have cost when they were made, in US dollars.",
        labels=(Label("outcome", CACHE_SERVED),),
    ),
    Metric(
        name="santral_cache_entries",
        kind="gauge",
        help="Answers that workers keep in memory.",
        labels=(Label("tier", ("memory", "semantic")),),
    ),
    Metric(
        name="santral_cache_bytes",
        kind="gauge",
        help="Memory of the answers that workers keep.",
        labels=(Label("tier", ("memory", "semantic")),),
    ),
    Metric(
        name="santral_cache_store_errors_total",
        kind="counter",
        help="Questions that the shared store did not answer in time, or at all.",
    ),
    Metric(
        name="santral_cache_store_left_out",
        kind="gauge",
        across="max",
        help="1 while the shared store is left out because it is slow or dead.",
    ),
    Metric(
        name="santral_guardrail_verdicts_total",
        kind="counter",
        help="Verdicts of checks, and what was done about them.",
        labels=(
            Label("check", bound=128),
            Label("verdict", ("passed", "found", "failed")),
            Label("action", ("allow", "mask", "refuse", "report", "retry")),
        ),
    ),
    Metric(
        name="santral_attempts_total",
        kind="counter",
        help="Calls to deployments; error is empty for those that succeeded.",
        labels=(_DEPLOYMENT, Label("error")),
    ),
    Metric(
        name="santral_breaker_state",
        kind="gauge",
        across="max",
        help="The circuit breaker of a deployment: 0 closed, 1 half open, 2 open.",
        labels=(_DEPLOYMENT,),
    ),
    Metric(
        name="santral_retries_refused_total",
        kind="counter",
        help="Retries and hedges not made because the deployment's retry budget was used up.",
        labels=(_DEPLOYMENT,),
    ),
    Metric(
        name="santral_shadow_total",
        kind="counter",
        help="Copies of requests for deployments on trial, by what became of them.",
        labels=(_ROUTE, Label("outcome", ("answered", "failed", "dropped"))),
    ),
    Metric(
        name="santral_provider_keys",
        kind="gauge",
        across="max",
        help="Keys of each provider: living, busy (waiting for a rate limit) or dead (refused); the "
        "most that any worker counts.",
        labels=(Label("provider"), Label("state", ("living", "busy", "dead"))),
    ),
    Metric(
        name="santral_quota_refusals_total",
        kind="counter",
        help="Requests refused because a limit was used up.",
        labels=(_ROUTE,),
    ),
    Metric(
        name="santral_feedback_total",
        kind="counter",
        help="Scores that were taken at /v1/feedback, by who said them: a user, or their behaviour.",
        labels=(Label("source", ("user", "implicit")),),
    ),
    Metric(
        name="santral_spool_received_total",
        kind="counter",
        help="Finished requests and scores handed to the spool; equals spooled + dropped.",
    ),
    Metric(
        name="santral_spool_spooled_total",
        kind="counter",
        help="Finished requests and scores that the spool keeps for the collector.",
    ),
    Metric(
        name="santral_spool_dropped_total",
        kind="counter",
        help="Finished requests lost because the spool was full or its disk refused.",
    ),
    Metric(
        name="santral_spool_unsynced_total",
        kind="counter",
        help="Of the spooled: the disk did not say that they survive power loss (spool_fsync).",
    ),
    Metric(name="santral_spool_bytes", kind="gauge", help="Bytes of the workers' spools on disk."),
    Metric(
        name="santral_experiment_acts_total",
        kind="counter",
        help="What was done about live experiments by itself: stopped by a guard or a broken sample "
        "ratio, ramped, weighted by a bandit; failed: one could not be looked at.",
        labels=(Label("outcome", ("stopped", "ramped", "weighted", "failed")),),
    ),
    Metric(
        name="santral_alerts_total",
        kind="counter",
        help="Tries to deliver an alert about a limit: taken, to be tried again, given up.",
        labels=(Label("outcome", ("sent", "failed", "given_up")),),
    ),
    Metric(
        name="santral_collector_records_total",
        kind="counter",
        help="What the collector read from the spool: received = stored + rejected + duplicate.",
        labels=(Label("state", ("received", "stored", "rejected", "duplicate")),),
    ),
    Metric(
        name="santral_collector_waiting",
        kind="gauge",
        help="Records in the spool that the collector has not stored yet.",
    ),
    Metric(
        name="santral_collector_oldest_seconds",
        kind="gauge",
        help="Age of the oldest record that waits in the spool: the collector's health.",
    ),
    Metric(
        name="santral_collector_unreadable",
        kind="gauge",
        help="Segments that could not be read in the last pass: permission, or a disk that fails.",
    ),
    Metric(
        name="santral_collector_set_aside",
        kind="gauge",
        help="Files in the spool folder that are no segment and were renamed to .damaged.",
    ),
    Metric(
        name="santral_collector_unbilled_total",
        kind="counter",
        help="Records that the ledger could not take and the store has: see santral ledger verify.",
    ),
    Metric(name="santral_in_flight", kind="gauge", help="Requests being answered now."),
    Metric(
        name="santral_event_loop_lag_seconds",
        kind="histogram",
        help="How much later than asked the event loop woke.",
        buckets=_LAG_S,
    ),
    Metric(
        name="santral_config_generation",
        kind="gauge",
        across="min",
        help="Counts up with every configuration that came into force in all workers.",
    ),
    Metric(
        name="santral_prompts_unusable",
        kind="gauge",
        across="max",
        help="Registered prompt versions that cannot be used; the log names them and why.",
    ),
    Metric(
        name="santral_config_reload_failures_total",
        kind="counter",
        help="Configurations that were refused; the last good one stayed in force.",
    ),
    Metric(
        name="santral_audit_acts_dropped_total",
        kind="counter",
        help="Configurations put in force or refused that could not be noted in the audit log.",
    ),
    Metric(
        name="santral_workers",
        kind="gauge",
        help="Gateway workers of this machine that accept connections.",
    ),
    Metric(
        name="santral_worker_ends_total",
        kind="counter",
        help="Gateway workers that ended: died, killed because they hung, or replaced by a restart.",
        labels=(Label("cause", ("died", "hung", "replaced")),),
    ),
)
