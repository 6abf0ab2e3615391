"""The server keeps the rules of rating: places, leases, who may, and what becomes of an item."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from random import Random

import pytest
from tests.review.people import NOW, OPERATOR, add_item, item, make_queue, rater, tasks

from santral.audit import store as audit
from santral.db.engine import Engine, reading
from santral.errors import BadRequest, Conflict, NotAllowed, NotFound
from santral.review.change import change_queue
from santral.review.item import Content, Said, Shown
from santral.review.rating.submit import adjudicate, skip, submit
from santral.review.rating.take import Taken, renew, take_next
from santral.tenants.permission import Principal

pytestmark = pytest.mark.anyio
LATER = NOW + timedelta(minutes=21)


async def take(
    engine: Engine, who: Principal, now: datetime = NOW, queue: str = "daily", chance: float = 0.9
) -> Taken | None:
    return await take_next(engine, None, "acme", queue, now, by=who, chance=lambda: chance)


async def rate(
    engine: Engine, who: Principal, taken: Taken | None, value: object = 1, now: datetime = NOW
) -> str:
    assert taken is not None
    labels = value if isinstance(value, dict) else {"correct": value}
    return await submit(engine, "acme", "daily", taken.item_id, labels, now, by=who)


async def test_two_raters_who_agree_close_an_item(engine: Engine) -> None:
    await make_queue(engine, raters_per_item=2)
    made = await add_item(engine)
    ada, bob, eve = rater("ada"), rater("bob"), rater("eve")
    first, second = await take(engine, ada), await take(engine, bob)
    assert await take(engine, eve) is None, "both places are leased"
    assert await rate(engine, ada, first) == "open"
    assert await rate(engine, bob, second) == "done"
    closed = await item(engine, made.id)
    assert closed.outcome == {"correct": 1}
    assert closed.closed_at == NOW


async def test_who_holds_an_item_is_given_it_again_and_nobody_meets_one_twice(
    engine: Engine,
) -> None:
    await make_queue(engine, raters_per_item=2)
    await add_item(engine)
    ada = rater("ada")
    assert (await take(engine, ada)) == (await take(engine, ada))
    await rate(engine, ada, await take(engine, ada))
    assert await take(engine, ada) is None
    with pytest.raises(Conflict, match="already"):
        await submit(engine, "acme", "daily", "item_daily_0", {"correct": 1}, NOW, by=ada)


async def test_a_lease_that_ran_out_is_anothers_and_one_that_was_renewed_is_not(
    engine: Engine,
) -> None:
    await make_queue(engine)
    await add_item(engine)
    ada, bob = rater("ada"), rater("bob")
    taken = await take(engine, ada)
    assert taken is not None
    until = await renew(engine, "acme", "daily", taken.item_id, NOW + timedelta(minutes=10), by=ada)
    assert await take(engine, bob, LATER) is None
    assert await take(engine, bob, until) is not None
    with pytest.raises(Conflict, match="not yours any more"):
        await rate(engine, ada, taken, now=until)
    (task,) = await tasks(engine, taken.item_id)
    assert task.rater == "user:bob"


async def test_who_answers_late_is_heard_while_nobody_took_the_place(engine: Engine) -> None:
    await make_queue(engine)
    await add_item(engine)
    taken = await take(engine, rater("ada"))
    assert await rate(engine, rater("ada"), taken, now=LATER) == "done"


async def test_an_item_that_is_given_back_is_for_others_and_set_aside_in_the_end(
    engine: Engine,
) -> None:
    await make_queue(engine, skips=2)
    made = await add_item(engine)
    ada, bob = rater("ada"), rater("bob")
    await take(engine, ada)
    with pytest.raises(BadRequest, match="Say why"):
        await skip(engine, "acme", "daily", made.id, " ", NOW, by=ada)
    assert await skip(engine, "acme", "daily", made.id, "not my field", NOW, by=ada) == "open"
    assert await take(engine, ada) is None
    assert await take(engine, bob) is not None
    assert await skip(engine, "acme", "daily", made.id, "nor mine", NOW, by=bob) == "skipped"
    assert await take(engine, rater("eve")) is None


async def test_nobody_judges_what_they_made_or_said(engine: Engine) -> None:
    await make_queue(engine)
    await add_item(engine, created_by="user:ada")
    assert await take(engine, rater("ada")) is None
    assert await take(engine, rater("bob")) is not None


async def test_raters_who_disagree_are_heard_by_a_third_person(engine: Engine) -> None:
    await make_queue(engine, raters_per_item=2)
    made = await add_item(engine)
    ada, bob = rater("ada"), rater("bob")
    await rate(engine, ada, await take(engine, ada), 1)
    assert await rate(engine, bob, await take(engine, bob), 0) == "disputed"

    async def decide(who: Principal) -> None:
        await adjudicate(engine, "acme", "daily", made.id, {"correct": 0}, "see [2]", LATER, by=who)

    with pytest.raises(NotAllowed):
        await decide(rater("eve"))
    await change_queue(
        engine, "acme", "daily", {"adjudicators": ["user:ada", "user:eve"]}, by=OPERATOR, now=NOW
    )
    with pytest.raises(NotAllowed, match="third person"):
        await decide(ada)
    await decide(rater("eve"))
    closed = await item(engine, made.id)
    assert (closed.state, closed.outcome) == ("done", {"correct": 0})
    with pytest.raises(Conflict, match="nothing waits"):
        await decide(OPERATOR)
    async with reading(engine) as conn:
        rows = await audit.entries_after(conn, 0, 100)
    assert rows[-1].action == "review.adjudicate"
    assert "see [2]" not in str(rows[-1])


async def test_a_scale_within_its_tolerance_is_its_mean(engine: Engine) -> None:
    labels = [
        {"name": "quality", "kind": "scale"},
        {"name": "why", "kind": "text", "is_required": False},
    ]
    await make_queue(engine, labels=labels, raters_per_item=2, beyond=1)
    made = await add_item(engine)
    for name, value in (("ada", 4), ("bob", 5)):
        who = rater(name)
        await rate(engine, who, await take(engine, who), {"quality": value, "why": name})
    assert (await item(engine, made.id)).outcome == {"quality": 4.5}


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({}, "'correct' is missing"),
        ({"correct": "perhaps"}, "no value of 'correct'"),
        ({"corect": 1}, "Did you mean 'correct'"),
    ],
)
async def test_a_label_that_means_nothing_is_refused_and_the_lease_stays(
    engine: Engine, labels: dict[str, object], words: str
) -> None:
    await make_queue(engine)
    await add_item(engine)
    taken = await take(engine, rater("ada"))
    with pytest.raises(BadRequest, match=words):
        await rate(engine, rater("ada"), taken, labels)
    assert (await tasks(engine, "item_daily_0"))[0].state == "leased"


async def test_roles_and_assigned_raters(engine: Engine) -> None:
    await make_queue(engine, access="assigned", raters=["user:ada"])
    await add_item(engine)
    assert await take(engine, rater("ada")) is not None
    with pytest.raises(NotAllowed, match="raters of its own"):
        await take(engine, rater("bob"))
    with pytest.raises(NotAllowed):
        await take(engine, rater("dev", "developer"))
    with pytest.raises(NotFound, match="Did you mean 'daily'"):
        await take(engine, rater("ada"), queue="dayly")


async def test_gold_is_for_everybody_and_whoever_fails_it_is_paused(engine: Engine) -> None:
    await make_queue(engine, gold_share=0.5, gold_floor=0.8, gold_least=3)
    for number in range(4):
        await add_item(engine, number, gold={"correct": 1})
    await add_item(engine, 9)
    ada, bob = rater("ada"), rater("bob")
    plain = await take(engine, ada, chance=0.9)
    assert plain is not None
    assert plain.item_id == "item_daily_9", "the share decides"
    for _ in range(3):
        await rate(engine, bob, await take(engine, bob, chance=0.1), 0)
    with pytest.raises(NotAllowed, match="paused"):
        await take(engine, bob)
    await rate(engine, ada, plain)
    assert (await take(engine, ada, chance=0.1)) is not None, "gold stays open for others"
    since = {"gold_since": {"user:bob": LATER.isoformat()}}
    await change_queue(engine, "acme", "daily", since, by=OPERATOR, now=NOW)
    assert await take(engine, bob, LATER, chance=0.1) is not None


async def test_a_preference_is_kept_by_the_answer_whatever_order_was_shown(
    engine: Engine,
) -> None:
    labels = [{"name": "better", "kind": "preference"}]
    await make_queue(engine, mode="pairwise", labels=labels, raters_per_item=2)
    made = await add_item(engine, kind="pair", answers=("from a", "from b"))
    for name, chance, seen in (
        ("ada", 0.1, ["from a", "from b"]),
        ("bob", 0.9, ["from b", "from a"]),
    ):
        taken = await take(engine, rater(name), chance=chance)
        assert taken is not None
        assert taken.shown.answers == seen
        place = "first" if chance < 0.5 else "second"
        await rate(engine, rater(name), taken, {"better": place})
    assert (await item(engine, made.id)).outcome == {"better": "a"}


async def test_raters_see_what_the_queue_shows(engine: Engine) -> None:
    await make_queue(engine, shows=["question", "answer"])
    shown = Shown(
        said=[Said("system", "[1] a passage"), Said("user", "And then?")],
        answers=["That."], passages=["handbook.md"],
    )  # fmt: skip
    await add_item(engine, content=Content(shown=shown, rules={"random": 0.1}))
    taken = await take(engine, rater("ada"))
    assert taken is not None
    assert (taken.shown.said, taken.shown.passages) == ([Said("user", "And then?")], [])
    await change_queue(engine, "acme", "daily", {"shows": ["answer"]}, by=OPERATOR, now=NOW)
    again = await take(engine, rater("ada"))
    assert again is not None
    assert (again.shown.said, again.shown.answers) == ([], ["That."])


async def test_fewer_raters_close_what_is_full_by_then(engine: Engine) -> None:
    await make_queue(engine, raters_per_item=3)
    made = await add_item(engine)
    await rate(engine, rater("ada"), await take(engine, rater("ada")))
    await change_queue(engine, "acme", "daily", {"raters_per_item": 1}, by=OPERATOR, now=NOW)
    assert (await item(engine, made.id)).state == "done"


async def one_of_many(
    engine: Engine, who: Principal, taken: Taken, rng: Random, now: datetime
) -> None:
    """Do one of the things that raters do, in time or too late, or nothing at all."""
    match rng.randrange(5):
        case 0:
            await rate(engine, who, taken, rng.choice((0, 1)), now)
        case 1:
            await rate(engine, who, taken, 1, now + timedelta(minutes=30))
        case 2:
            await skip(engine, "acme", "daily", taken.item_id, "no", now, by=who)
        case 3:
            await renew(engine, "acme", "daily", taken.item_id, now, by=who)
        case _:
            pass


PLACES, ITEMS = 2, 3


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_many_raters_do_at_once_no_rule_breaks(engine: Engine, seed: int) -> None:
    await make_queue(engine, raters_per_item=PLACES, skips=20, adjudication="never")
    made = [await add_item(engine, number) for number in range(ITEMS)]
    people = [rater(f"r{n}") for n in range(5)]
    clock = [NOW]

    async def act(who: Principal, rng: Random) -> None:
        for _ in range(6):
            clock[0] += timedelta(minutes=rng.choice((0, 0, 5, 15)))
            taken = await take(engine, who, clock[0])
            if taken is None:
                continue
            await asyncio.sleep(0)
            with contextlib.suppress(Conflict):
                await one_of_many(engine, who, taken, rng, clock[0])
            await check()

    async def check() -> None:
        for one in made:
            found = await tasks(engine, one.id)
            done = [t for t in found if t.state == "done"]
            live = [t for t in found if t.slot > 0]
            assert len(done) <= PLACES
            assert len(live) <= PLACES
            assert len({t.slot for t in live}) == len(live)
            assert len({t.rater for t in found}) == len(found)

    async with asyncio.TaskGroup() as group:
        for n, who in enumerate(people):
            group.create_task(act(who, Random(seed * 100 + n)))
    await check()
    for one in made:
        found = await tasks(engine, one.id)
        done = sum(t.state == "done" for t in found)
        assert ((await item(engine, one.id)).state == "done") == (done == PLACES)
