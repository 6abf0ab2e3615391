"""A monitor: which requests it watches, which of their signals, and how it is kept."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct, field

from santral.errors import BadRequest, nearest
from santral.evals.drift.signals import KNOWN, SCORE

#: What a monitor may be called.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
#: What is watched where nothing is said. Chosen: each needs nothing but the trace.
USUAL = (
    "question_length",
    "question_language",
    "question_meaning",
    "answer_length",
    "refusal",
    "error",
    "latency",
    "cost",
)
_HOUR_US = 3_600_000_000
_MOST_SIGNALS = 32


class MonitorSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a monitor is told; everything has a default."""

    route: str = ""  # empty: every route
    prompt: str = ""  # the name of a prompt; empty: every one
    signals: tuple[str, ...] = USUAL
    current_hours: float = 24.0
    reference_days: float = 14.0
    reference_until: str = (
        ""  # ISO 8601: a window that stays; empty: the days before the current one
    )
    every_hours: float = 24.0
    least: int = 100  # requests on each side; fewer are not compared
    alpha: float = 0.05  # share of false findings, over all signals of all monitors
    effects: dict[str, float] = field(default_factory=dict[str, float])  # least ones, by signal
    review_queue: str = ""  # where exemplars are sent, too


class Monitor(Struct, frozen=True, kw_only=True):
    """A monitor as it is kept."""

    tenant_id: str
    name: str
    settings: MonitorSettings
    state: dict[str, Any]  # see look.State
    is_paused: bool
    next_at: datetime | None
    created_by: str
    created_at: datetime


class Windows(Struct, frozen=True):
    """The two stretches of time that are compared, in microseconds since the epoch."""

    reference_since_us: int
    reference_until_us: int
    since_us: int
    until_us: int


def checked_name(name: str) -> str:
    """Return a name that a monitor may have; raises BadRequest."""
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"A monitor cannot be called {name[:64]!r}. Take letters, digits and . _ - (128 at "
            "most), a letter or digit first.",
            param="name",
        )
    return name


def settings_from(given: Any) -> MonitorSettings:
    """Return the settings of a monitor.

    Raises:
        BadRequest: one of them is unknown or cannot be; it is named.
    """
    try:
        settings = msgspec.convert(given, MonitorSettings)
    except msgspec.ValidationError as error:
        raise BadRequest(f"settings: {error}", param="settings") from None
    _check(settings)
    return settings


def windows_of(settings: MonitorSettings, now_us: int) -> Windows:
    """Return what a look at ``now_us`` compares."""
    since_us = now_us - int(settings.current_hours * _HOUR_US)
    until_us = since_us
    if settings.reference_until:
        pinned = datetime.fromisoformat(settings.reference_until)
        until_us = min(until_us, int(pinned.timestamp() * 1e6))
    reference_us = int(settings.reference_days * 24 * _HOUR_US)
    return Windows(until_us - reference_us, until_us, since_us, now_us)


def _check(settings: MonitorSettings) -> None:
    if not 1 <= len(settings.signals) <= _MOST_SIGNALS:
        raise BadRequest(f"signals: name 1 to {_MOST_SIGNALS}.", param="signals")
    for name in (*settings.signals, *settings.effects):
        if name not in KNOWN and not (name.startswith(SCORE) and len(name) > len(SCORE)):
            raise BadRequest(
                f"signals: there is no signal '{name[:64]}'.{nearest(name, KNOWN)} There are "
                f"{', '.join(KNOWN)} and {SCORE}NAME.",
                param="signals",
            )
    bounds = (
        ("current_hours", settings.current_hours, 1 / 60, 24 * 31),
        ("reference_days", settings.reference_days, 1 / 24, 366),
        ("every_hours", settings.every_hours, 1 / 60, 24 * 31),
        ("least", settings.least, 20, 100_000),
        ("alpha", settings.alpha, 0.0001, 0.5),
    )
    for name, value, low, high in bounds:
        if not low <= value <= high:
            raise BadRequest(f"{name}: {value:g} is not from {low:g} to {high:g}.", param=name)
    if settings.reference_until:
        _check_moment(settings.reference_until)


def _check_moment(text: str) -> None:
    try:
        has_zone = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        has_zone = False
    if not has_zone:
        raise BadRequest(
            f"reference_until: '{text[:64]}' is no moment. Write it as 2026-11-23T00:00:00Z.",
            param="reference_until",
        )
