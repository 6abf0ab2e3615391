"""How long a provider asks to wait: in headers of many names, or in the sentence of a refusal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

#: A number of seconds above this is a moment, not a wait: 2001 as seconds, 1970 as milliseconds.
_EPOCH_S = 1e9
_EPOCH_MS = 1e12


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return how many seconds the provider asks to wait, or None.

    Reads ``retry-after-ms``, then ``retry-after`` as seconds, fractions or an HTTP date.
    Source: RFC 9110 section 10.2.3; the milliseconds are OpenAI's and Azure's.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def wait_of(headers: Mapping[str, str], message: str, now: float) -> float | None:
    """Return how many seconds a provider that is busy asks to wait, however it says so, or None."""
    wait_s = retry_after(headers, now)
    if wait_s is None:
        wait_s = wait_in(message)
    return _until_reset(headers, now) if wait_s is None else wait_s


def wait_in(message: str) -> float | None:
    """Return the seconds of a "try again in 1m2.5s", as OpenAI, Groq, Azure and Google write it."""
    found = _TRY_AGAIN.search(message)
    return None if found is None else read_duration(found[1])


def read_duration(text: str) -> float | None:
    """Return the seconds of ``6m0s``, ``1.5s``, ``120ms`` or ``26 seconds``; None for anything else."""
    text = text.strip()
    number = _number(text)
    if number is not None:
        return number
    if _DURATION.fullmatch(text) is None:
        return None
    return sum(float(n) * _SECONDS[unit.lower()] for n, unit in _PIECE.findall(text))


def _until_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Return when the limit that is used up begins anew, else the nearest of all resets.

    Source: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers; OpenRouter
    gives a moment in milliseconds: https://openrouter.ai/docs/api-reference/limits
    """
    used_up: list[float] = []
    others: list[float] = []
    for kind in ("-requests", "-tokens", ""):
        wait_s = _reset(headers.get(f"x-ratelimit-reset{kind}"), now)
        if wait_s is not None:
            left = headers.get(f"x-ratelimit-remaining{kind}")
            (used_up if left == "0" else others).append(wait_s)
    return max(used_up) if used_up else min(others, default=None)


def _reset(value: str | None, now: float) -> float | None:
    if value is None:
        return None
    try:
        moment = float(value)
    except ValueError:
        return read_duration(value)
    if moment >= _EPOCH_S:
        moment = moment / 1000 if moment >= _EPOCH_MS else moment
        return max(0.0, moment - now)
    return _number(value)


def _number(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < 1e9 else None  # nan compares false


_UNIT = r"(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)"
_PIECES = rf"(?:\d+(?:\.\d+)?\s*{_UNIT}\b\s*|\d+(?:\.\d+)?(?:h|m)(?=\d))+"
_DURATION = re.compile(_PIECES, re.IGNORECASE)
_PIECE = re.compile(rf"(\d+(?:\.\d+)?)\s*({_UNIT})(?=\d|\b)", re.IGNORECASE)
_TRY_AGAIN = re.compile(rf"(?:try again|retry)(?:ing)? (?:in|after) ({_PIECES})", re.IGNORECASE)
_SECONDS = {
    unit: seconds
    for units, seconds in (
        (("ms", "millisecond", "milliseconds"), 0.001),
        (("s", "sec", "secs", "second", "seconds"), 1.0),
        (("m", "min", "mins", "minute", "minutes"), 60.0),
        (("h", "hour", "hours"), 3600.0),
        (("d", "day", "days"), 86400.0),
    )
    for unit in units
}
