"""docs/reference/headers.md: every header that Santral reads or sends, held against the code."""

from __future__ import annotations

import re

from generator.markdown import code, page, table
from generator.source import modules, strings

INTRO = """\
Header names are case-insensitive. Headers that are not listed here are neither read nor forwarded
to providers; what a provider should get besides its key is set in `[providers.NAME] headers`."""

READ = {
    "authorization": "`Bearer sk-santral-...`: the virtual key. Required on `/v1/` and, with an "
    "administrator's key, on `/api/`.",
    "x-api-key": "The virtual key, for clients that cannot send `authorization`.",
    "x-goog-api-key": "The virtual key, as Google's SDKs send it; errors then have Google's shape, and "
    "`GET /v1/models` lists models as Google does.",
    "anthropic-beta": "On `/v1/messages`: flags for Anthropic. Those that change a message are passed "
    "on to it, the others are named in `x-santral-loss`.",
    "x-forwarded-for": "Where the request came from, believed of the proxies in "
    "`server.trusted_proxies` alone; a key's networks are held against it.",
    "traceparent": "The caller's W3C trace: its ids are kept with the trace and passed on to the "
    "provider. Santral's own trace id is always a new one.",
    "content-length": "A body that says it is over `server.max_body_bytes` is refused unread.",
    "content-encoding": "`gzip` is unpacked, within `server.max_body_bytes`; anything else but `identity` is refused.",
}

SENT = {
    "x-request-id": "Id of this request, on every answer of the gateway. Quote it to the operator.",
    "x-santral-trace-id": "Id of the trace: `santral traces show ID`. Absent where a request leaves "
    "no trace: it had no valid key, or met a full gateway.",
    "x-santral-cost-usd": "What all attempts of this request cost together, in US dollars with nine "
    "decimals. Absent while unknown: on streams, whose headers leave before the end, and where a "
    "price is unknown.",
    "x-santral-held-id": "Id of the answer that waits for a reviewer: `GET /v1/held/ID` fetches it once "
    "it is released.",
    "x-santral-cache": "What the caches said: `off`, `miss`, `hit` (an equal request), `semantic` (a "
    "question that means the same), or `collapsed` (the answer of a request that was under way).",
    "x-santral-deployment": "The deployment that answered, or was tried last; `last_resort` for the "
    "text of a route's last resort.",
    "x-santral-degraded": "`true` where a route's last rung or its last resort answered.",
    "x-santral-loss": "Parameters that were changed on the way, e.g. `max_tokens=4096`.",
    "x-santral-estimated": "`true` where `/v1/messages/count_tokens` or `:countTokens` estimated: the provider that "
    "would answer does not count.",
    "x-ratelimit-limit-requests": "Of all limits of requests the one with least left: how many it "
    "allows; of a rate how many may come at once.",
    "x-ratelimit-remaining-requests": "Requests left under it now.",
    "x-ratelimit-reset-requests": "When all are back, e.g. `1s`.",
    "x-ratelimit-limit-tokens": "Of all limits of tokens the one with least left: how many it allows.",
    "x-ratelimit-remaining-tokens": "Tokens left under it, running requests counted with what they "
    "reserved.",
    "x-ratelimit-reset-tokens": "Until they begin anew, e.g. `5h3m20s`.",
    "x-santral-budget-remaining-usd": "US dollars left of the budget with least left, all digits; "
    "running requests are counted with what they reserved.",
    "x-santral-limit-warning": "Limits that are used beyond a fraction that asks for a warning, e.g. "
    "`tenant sales: 81% of usd/month`.",
    "anthropic-ratelimit-requests-limit": "On `/v1/messages` in place of the six above, with "
    "`-remaining` and `-reset` (a moment, RFC 3339), and the same for `tokens`.",
    "x-santral-signature": "On alerts to webhooks: when it was sent and its HMAC-SHA256, "
    "`t=...,v1=...`.",
    "x-santral-alert-id": "On alerts to webhooks: the same for each attempt to deliver one.",
    "request-id": "On answers of `/v1/messages`: the same as `x-request-id`, for Anthropic's SDKs.",
    "retry-after": "Whole seconds to wait before another attempt.",
    "retry-after-ms": "The same in milliseconds; OpenAI's SDKs prefer it.",
    "x-should-retry": "`false` where an SDK would retry in vain.",
    "x-accel-buffering": "`no` on streams: tells nginx to pass each event on at once.",
}

_HEADER = re.compile(
    r"(?:x-[a-z-]+|retry-after(?:-ms)?|traceparent|authorization|content-encoding)"
)
#: Folders that speak to callers; providers/ speaks to vendors.
_EDGE = ("gateway/", "web/", "quota/", "app/")


def headers_page() -> str:
    """Return the page."""
    check()
    return page(
        "Headers",
        INTRO,
        "## Headers that are read",
        table(("Header", "Meaning"), [(code(n), t) for n, t in READ.items()]),
        "## Headers that are sent",
        "Rate headers show, for requests and tokens each, the scope (tenant or key) with least left; "
        "they are absent where nothing is limited.",
        table(("Header", "Meaning"), [(code(n), t) for n, t in SENT.items()]),
    )


def check() -> None:
    """Stop where code and page name different headers."""
    known = {*READ, *SENT}
    used = used_headers()
    missing = sorted(used - known)
    gone = sorted(name for name in known - used if _HEADER.fullmatch(name))
    if missing or gone:
        raise SystemExit(
            f"docs/generator/headers.py: not described {missing}, no longer in the code {gone}"
        )


def used_headers() -> set[str]:
    """Return the header names that stand in the folders which speak to callers."""
    return {
        text
        for path, tree in modules()
        if path.startswith(_EDGE)
        for text in strings(tree)
        if _HEADER.fullmatch(text) and text != "x-gzip"  # an encoding
    }
