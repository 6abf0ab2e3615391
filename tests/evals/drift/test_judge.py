"""What two windows of requests say: error rates by simulation, and what is named."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from santral.evals.drift.look import Look, State, judge
from santral.evals.drift.monitor import MonitorSettings, Windows
from santral.evals.drift.requests.seen import Seen
from santral.evals.drift.words import said

DAY_US = 86_400_000_000
WINDOWS = Windows(0, 7 * DAY_US, 7 * DAY_US, 8 * DAY_US)
LATER = Windows(0, 7 * DAY_US, 8 * DAY_US, 9 * DAY_US)
TOPICS = (
    "how do I return a jacket that does not fit",
    "where is my parcel, it should have come on Monday",
    "can I pay in three parts with my card",
)
NEW = "the app crashes when I open the invoice screen on my phone"


def requests(
    rng: np.random.Generator,
    sessions: int,
    since_us: int,
    until_us: int,
    *,
    latency: Callable[[float], float] = lambda usual: usual,
    topics: tuple[str, ...] = TOPICS,
    route: str = "support",
    name: str = "s",
) -> list[Seen]:
    """Sessions of one to six requests; those of one session are alike: a level of its own."""
    found: list[Seen] = []
    for session in range(sessions):
        level, topic = rng.normal(0, 0.5), topics[rng.integers(len(topics))]
        for turn in range(int(rng.integers(1, 7))):
            usual = float(np.exp(13 + level + rng.normal(0, 0.2)))
            words = topic.split()
            rng.shuffle(words)
            found.append(
                Seen(
                    trace_id=f"{name}{session}-{turn}",
                    session=f"{name}{session}",
                    at_us=int(rng.integers(since_us, until_us)),
                    route=route,
                    question=" ".join(words),
                    latency_us=int(latency(usual)),
                    cost_nanousd=int(usual / 10),
                    is_refused=bool(rng.random() < 0.05),
                    scores={"thumbs": float(rng.random() < 0.8)},
                )
            )
    return found


def looked(
    settings: MonitorSettings,
    then: list[Seen],
    now: list[Seen],
    *,
    state: State | None = None,
    windows: Windows = WINDOWS,
    others: tuple[float, ...] = (),
    seed: int = 7,
) -> Look:
    rng = np.random.default_rng(seed)
    return judge(settings, state or State(), others, windows, then, now, rng)


def verdicts(look: Look) -> dict[str, str]:
    return {found.signal: found.verdict for found in look.signals}


def test_windows_that_are_alike_are_seldom_called_otherwise_although_sessions_vary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("santral.evals.drift.compare.RESAMPLES", 99)
    settings = MonitorSettings(
        signals=("latency", "cost", "refusal", "score:thumbs"),
        effects={"latency": 0.0, "cost": 0.0, "refusal": 0.0, "score:thumbs": 0.0},
    )
    rng = np.random.default_rng(11)
    alarms, looks = 0, 60
    for seed in range(looks):
        then = requests(rng, 60, 0, 7 * DAY_US)
        now = requests(rng, 40, 7 * DAY_US, 8 * DAY_US, name="n")
        alarms += looked(settings, then, now, seed=seed).verdict != "steady"
    # at most 5 in 100 looks, and the 99 % bound of that over 60 looks
    assert alarms <= 8


def test_rows_that_are_taken_for_independent_would_raise_false_alarms() -> None:
    """The sessions of the simulation matter: without them chance looks like drift."""
    rng = np.random.default_rng(3)
    lone = 0
    for seed in range(30):
        then = requests(rng, 60, 0, 7 * DAY_US)
        now = requests(rng, 40, 7 * DAY_US, 8 * DAY_US, name="n")
        apart = [
            [
                Seen(
                    trace_id=s.trace_id, session=s.trace_id, at_us=s.at_us, latency_us=s.latency_us
                )
                for s in side
            ]
            for side in (then, now)
        ]
        settings = MonitorSettings(signals=("latency",), effects={"latency": 0.0})
        lone += looked(settings, apart[0], apart[1], seed=seed).verdict == "suspect"
    assert lone >= 5  # of 30, where 1 or 2 are stated


def test_a_shift_is_a_suspect_first_and_a_drift_in_the_next_window() -> None:
    rng = np.random.default_rng(5)
    settings = MonitorSettings(signals=("latency", "refusal"))
    then = requests(rng, 120, 0, 7 * DAY_US)
    slow = requests(rng, 80, 7 * DAY_US, 8 * DAY_US, latency=lambda x: x * 1.8, name="n")
    first = looked(settings, then, slow)
    assert verdicts(first) == {"latency": "suspect", "refusal": "steady"}
    again = looked(settings, then, slow, state=first.state)  # the same window says nothing new
    assert verdicts(again)["latency"] == "suspect"
    later = requests(rng, 80, 8 * DAY_US, 9 * DAY_US, latency=lambda x: x * 1.8, name="m")
    second = looked(settings, then, later, state=again.state, windows=LATER)
    assert verdicts(second)["latency"] == "drift"
    assert "latency drifts: median" in said(second)[0]
    healed = requests(rng, 80, 8 * DAY_US, 9 * DAY_US, name="m")
    assert looked(settings, then, healed, state=again.state, windows=LATER).state.suspects == {}


def test_what_people_ask_about_anew_is_found_and_named_by_its_requests() -> None:
    rng = np.random.default_rng(8)
    settings = MonitorSettings(signals=("question_meaning", "question_length"))
    then = requests(rng, 90, 0, 7 * DAY_US)
    now = requests(rng, 45, 7 * DAY_US, 8 * DAY_US, name="old")
    fresh = requests(rng, 25, 7 * DAY_US, 8 * DAY_US, topics=(NEW,), route="app", name="new")
    look = looked(settings, then, [*now, *fresh])
    found = look.signals[0]
    assert found.verdict == "suspect"
    assert found.effect > 0.6
    assert len(found.exemplars) == 5
    assert all(trace.startswith("new") for trace in found.exemplars)
    assert found.slice is not None
    assert (found.slice.part, found.slice.value) == ("route", "app")
    calm = looked(settings, then, requests(rng, 70, 7 * DAY_US, 8 * DAY_US, name="old"))
    assert verdicts(calm)["question_meaning"] == "steady"


def test_more_that_is_watched_means_that_a_finding_has_to_show_more() -> None:
    rng = np.random.default_rng(21)
    settings = MonitorSettings(signals=("latency",), effects={"latency": 0.0})
    then = requests(rng, 100, 0, 7 * DAY_US)
    now = requests(rng, 60, 7 * DAY_US, 8 * DAY_US, latency=lambda x: x * 1.25, name="n")
    alone = looked(settings, then, now).signals[0]
    among = looked(settings, then, now, others=(0.5,) * 40).signals[0]
    assert alone.p_adjusted <= 0.05 < among.p_adjusted
    assert (alone.verdict, among.verdict) == ("suspect", "steady")


def test_too_few_requests_or_sessions_are_said_and_not_judged() -> None:
    rng = np.random.default_rng(2)
    then = requests(rng, 100, 0, 7 * DAY_US)
    few = looked(MonitorSettings(signals=("latency",)), then, then[:30])
    assert few.verdict == "not_enough_data"
    one = [s for s in then for _ in range(1)][:150]
    same = [
        Seen(trace_id=s.trace_id, session="one", at_us=s.at_us, latency_us=s.latency_us)
        for s in one
    ]
    lone = looked(MonitorSettings(signals=("latency",)), then, same)
    assert (lone.verdict, "not enough data" in said(lone)[0]) == ("not_enough_data", True)
    wordless = looked(MonitorSettings(signals=("score:none",)), then, then)
    assert wordless.signals[0].n == 0


def test_a_small_move_that_lasts_shows_in_the_hours() -> None:
    rng = np.random.default_rng(4)
    settings = MonitorSettings(signals=("latency",))
    then = requests(rng, 1200, 0, 7 * DAY_US)
    quiet = looked(settings, then, requests(rng, 200, 7 * DAY_US, 8 * DAY_US, name="n"))
    assert quiet.steps == []
    slow = requests(rng, 300, 7 * DAY_US, 8 * DAY_US, latency=lambda x: x * 1.6, name="n")
    look = looked(settings, then, slow)
    assert look.steps
    assert look.steps[0].alarm == "up"
    assert look.steps[0].at_us >= 7 * DAY_US
    kept = msgspec.convert(msgspec.json.decode(msgspec.json.encode(look.state)), State)
    done = looked(settings, then, slow, state=kept)
    assert done.steps == []  # hours that were looked at are not counted again


def test_without_a_reference_the_mean_is_learnt_from_the_hours() -> None:
    rng = np.random.default_rng(6)
    noon_us = 7 * DAY_US + DAY_US // 2
    settings = MonitorSettings(signals=("latency",))
    calm = requests(rng, 150, 7 * DAY_US, 8 * DAY_US)
    quiet = looked(settings, [], calm)
    assert (quiet.steps, quiet.verdict) == ([], "not_enough_data")
    moved = [
        msgspec.structs.replace(
            s, latency_us=int((s.latency_us or 0) * (2 if s.at_us > noon_us else 1))
        )
        for s in calm
    ]
    look = looked(settings, [], moved)
    assert [step.alarm for step in look.steps][:1] == ["up"]
    assert look.steps[0].at_us >= noon_us
    kept = msgspec.convert(msgspec.json.decode(msgspec.json.encode(look.state)), State)
    assert looked(settings, [], moved, state=kept).steps == []
