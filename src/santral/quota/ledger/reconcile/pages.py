"""Usage and cost reports of the providers' admin APIs, as JSON: pages of buckets of results.

Sources: https://developers.openai.com/api/reference/resources/admin (organization/usage and
organization/costs), https://platform.claude.com/docs/en/api/admin/usage_report/retrieve_messages and
https://platform.claude.com/docs/en/api/admin/cost_report/retrieve.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, cast

from santral.errors import BadRequest
from santral.quota.ledger.reconcile.report import (
    Line,
    Report,
    amount,
    dollars,
    moment,
    tokens,
    unknown,
)

Result = Mapping[str, Any]

#: Fields of a result that say nothing about how much was used, or say it again in parts.
_OPENAI = (
    "object input_tokens output_tokens input_cached_tokens input_cache_write_tokens "
    "input_uncached_tokens input_text_tokens output_text_tokens input_cached_text_tokens "
    "input_audio_tokens input_cached_audio_tokens output_audio_tokens input_image_tokens "
    "input_cached_image_tokens output_image_tokens num_model_requests project_id user_id "
    "api_key_id model batch service_tier api_source"
)
_OPENAI_COSTS = (
    "object amount line_item project_id api_key_id quantity quantity_unit api_source "
    "user_id organization_id"
)
_ANTHROPIC = (
    "uncached_input_tokens cache_creation cache_read_input_tokens output_tokens server_tool_use "
    "api_key_id workspace_id model service_tier context_window inference_geo speed "
    "account_id service_account_id"
)
_ANTHROPIC_COSTS = (
    "amount currency cost_type description model token_type service_tier context_window "
    "workspace_id inference_geo speed account_id service_account_id"
)


def read_pages(text: str, place: str) -> Report:
    """Read one page, a list of them, or one on each line.

    Raises:
        BadRequest: it is no JSON, or no report that is known.
    """
    pages = _pages(text, place)
    buckets = [bucket for page in pages for bucket in page["data"]]
    days = sorted({_day(bucket, place) for bucket in buckets})
    results = [
        (_day(bucket, place), cast("Result", result))
        for bucket in buckets
        for result in bucket.get("results") or bucket.get("result") or ()
    ]
    shape, read, known = _shape([result for _, result in results], place)
    return Report(
        shape=shape,
        lines=[read(day, result, place) for day, result in results],
        days=(days[0], days[-1]) if days else None,
        unread=unknown((result for _, result in results), frozenset(known.split())),
        has_more=bool(pages and pages[-1].get("has_more")),
    )


def _pages(text: str, place: str) -> list[dict[str, Any]]:
    try:
        # Amounts are read as they are written: a float would round them.
        read: Any = json.loads(text, parse_float=Decimal)
    except ValueError:
        read = list(_lines(text, place))
    pages: list[Any] = cast("list[Any]", read) if isinstance(read, list) else [read]
    for number, page in enumerate(pages, 1):
        if not isinstance(page, dict) or not isinstance(cast("Result", page).get("data"), list):
            raise BadRequest(
                f"{place}: page {number} has no list 'data' of buckets. Give the answer of the "
                "provider's usage or cost report as it came, or a CSV file."
            )
    return pages


def _lines(text: str, place: str) -> Iterator[Any]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield json.loads(line, parse_float=Decimal)
            except ValueError as error:
                raise BadRequest(f"{place}: line {number} is no JSON: {error}.") from None


def _day(bucket: Result, place: str) -> date:
    start = bucket.get("start_time", bucket.get("starting_at"))
    if start is None:
        raise BadRequest(f"{place}: a bucket has neither start_time nor starting_at.")
    return moment(start, place).date()


def _shape(results: Sequence[Result], place: str) -> tuple[str, Any, str]:
    """Return the name of a report's shape, what reads a result of it, and the fields it may have."""
    first: Result = results[0] if results else {"input_tokens": 0}
    if "uncached_input_tokens" in first:
        return "Anthropic usage report", _anthropic, _ANTHROPIC
    if isinstance(first.get("amount"), Mapping):
        return "OpenAI costs", _openai_costs, _OPENAI_COSTS
    if "amount" in first:
        return "Anthropic cost report", _anthropic_costs, _ANTHROPIC_COSTS
    if "input_tokens" in first:
        return "OpenAI usage", _openai, _OPENAI
    raise BadRequest(
        f"{place}: no report that is known: a result has the fields {', '.join(sorted(first))}. Known "
        "are OpenAI's usage and costs, and Anthropic's usage and cost reports."
    )


def _openai(day: date, result: Result, place: str) -> Line:
    """Audio stands beside the text tokens, but not where the parts of the sum are named."""
    sums = {"input": 0, "output": 0}
    for side in sums:
        sums[side] = tokens(result.get(f"{side}_tokens"), place)
        if f"{side}_text_tokens" not in result:
            sums[side] += tokens(result.get(f"{side}_audio_tokens"), place)
    model = str(result.get("model") or "")
    return Line(day=day, model=model, input_tokens=sums["input"], output_tokens=sums["output"])


def _openai_costs(day: date, result: Result, place: str) -> Line:
    value: Result = result["amount"]
    dollars(value.get("currency"), place)
    model = str(result.get("line_item") or "").split(",")[0].strip()
    return Line(day=day, model=model, cost_usd=amount(value.get("value"), place))


def _anthropic(day: date, result: Result, place: str) -> Line:
    written: Result = result.get("cache_creation") or {}
    counts = [result["uncached_input_tokens"], result.get("cache_read_input_tokens")]
    return Line(
        day=day,
        model=str(result.get("model") or ""),
        input_tokens=sum(tokens(count, place) for count in (*counts, *written.values())),
        output_tokens=tokens(result.get("output_tokens"), place),
    )


def _anthropic_costs(day: date, result: Result, place: str) -> Line:
    """Amounts are in cents, as decimal strings."""
    dollars(result.get("currency"), place)
    cents = amount(result["amount"], place)
    model = str(result.get("model") or result.get("description") or "")
    return Line(day=day, model=model, cost_usd=cents / 100)
