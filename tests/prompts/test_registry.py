"""The registry on both databases: versions that never change, labels that move, whose prompt it is."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.db.databases import (
    anyio_backend,
    database,
    engine,
    migrated_postgres,
    sqlite_template,
)
from tests.db.postgres import postgres_server
from tests.tenants.acting import NOW, OPERATOR, acting, plant

from santral.audit import store as audit
from santral.db.engine import Engine, reading
from santral.errors import BadRequest, Conflict, NotAllowed, NotFound
from santral.prompts import store
from santral.prompts.label import (
    move_label,
    protect,
    remove_label,
    roll_back,
    unprotect,
)
from santral.prompts.library import PromptLibrary, load_prompts
from santral.prompts.look import compare, find_prompt, list_prompts, log_of, show_prompt
from santral.prompts.push import delete_version, push_version
from santral.prompts.registry import Registry
from santral.prompts.store import read_registered
from santral.tenants.permission import Principal

__all__ = [
    "anyio_backend",
    "database",
    "engine",
    "migrated_postgres",
    "postgres_server",
    "sqlite_template",
]

pytestmark = pytest.mark.anyio

Write = Callable[..., Path]
NONE = PromptLibrary({})
COUNTER = itertools.count()


def body(said: str = "Hello", front: str = "") -> str:
    return f"+++\n{front}\n+++\n## user\n{said}\n"


async def push(
    engine: Engine,
    name: str,
    version: str,
    text: str,
    tenant: str = "acme",
    by: Principal = OPERATOR,
) -> bool:
    _, is_new = await push_version(engine, NONE, tenant, name, version, text, NOW, by=by)
    return is_new


async def label(engine: Engine, name: str, to: str, version: str, tenant: str = "acme") -> None:
    await move_label(engine, NONE, tenant, name, to, version, NOW, by=OPERATOR)


async def said(engine: Engine, tenant: str, reference: str) -> str:
    """What a gateway would compose for a tenant."""
    async with reading(engine) as conn:
        parents = {"acme": None, "team": "acme", "rival": None}
        registry = Registry(NONE, await read_registered(conn, parents))
    return registry.find(tenant, reference).version.messages[0].text


async def acts(engine: Engine) -> list[str]:
    async with reading(engine) as conn:
        entries = await audit.entries_after(conn, 0, 1000)
    return [entry.action for entry in entries if entry.action.startswith("prompts.")]


async def test_a_version_is_pushed_once_and_never_changes(engine: Engine) -> None:
    await plant(engine, "acme")
    assert await push(engine, "greet", "1.0.0", body())
    assert not await push(engine, "greet", "1.0.0", body().replace("\n", "\r\n"))
    with pytest.raises(Conflict) as caught:
        await push(engine, "greet", "1.0.0", body("Bye"))
    assert caught.value.message.count("sha256") == 1
    async with reading(engine) as conn:
        row = await store.find_version(conn, "acme", "greet", "1.0.0")
    assert row is not None
    assert row.content_hash in caught.value.message
    assert await acts(engine) == ["prompts.push"]


async def test_what_cannot_be_used_is_not_pushed(engine: Engine) -> None:
    await plant(engine, "acme")
    for text, says in (
        ("Hello", "greet@1.0.0:1: the first line must be +++"),
        (body("{{ who }}"), "'who' is not under [variables]"),
        (body('{% include "house" %}'), "There is no prompt 'house'"),
        (
            body("Hi", "[[tests]]\nname = 'a'\ncontains = ['Hello']"),
            "tests of greet@1.0.0 do not hold",
        ),
    ):
        with pytest.raises(BadRequest) as caught:
            await push(engine, "greet", "1.0.0", text)
        assert says in caught.value.message
    with pytest.raises(BadRequest, match="a prompt is named"):
        await push(engine, "Greet", "1.0.0", body())
    assert await acts(engine) == []


async def test_a_name_of_the_folder_is_read_only(engine: Engine, write: Write) -> None:
    await plant(engine, "acme")
    files = load_prompts(write())
    with pytest.raises(Conflict, match=r"greet/1.0.0.md"):
        await push_version(engine, files, "acme", "greet", "2.0.0", body(), NOW, by=OPERATOR)
    page = await show_prompt(engine, files, "acme", "greet", by=OPERATOR)
    assert page.owner == ""


async def test_labels_move_and_go_back_and_every_move_stays(engine: Engine) -> None:
    await plant(engine, "acme")
    for number in (1, 2, 3):
        await push(engine, "greet", f"{number}.0.0", body(f"Hello {number}"))
        await label(engine, "greet", "live", f"{number}.0.0")
    assert await said(engine, "acme", "greet@live") == "Hello 3"
    for expected in ("2.0.0", "1.0.0"):
        event = await roll_back(engine, NONE, "acme", "greet", "live", NOW, by=OPERATOR)
        assert (event.version, event.is_rollback) == (expected, True)
    with pytest.raises(BadRequest, match="never pointed anywhere else"):
        await roll_back(engine, NONE, "acme", "greet", "live", NOW, by=OPERATOR)
    await remove_label(engine, NONE, "acme", "greet", "live", NOW, by=OPERATOR, reason="bad")
    with pytest.raises(NotFound, match="no label 'live'"):
        await said(engine, "acme", "greet@live")
    event = await roll_back(engine, NONE, "acme", "greet", "live", NOW, by=OPERATOR)
    assert event.version == "1.0.0"
    log = await log_of(engine, NONE, "acme", "greet", by=OPERATOR)
    assert [line.number for line in log if line.label] == [7, 6, 5, 4, 3, 2, 1]
    assert [line.deed for line in log if line.label][:3] == [
        "rolled back",
        "unlabelled",
        "rolled back",
    ]


async def test_two_movers_do_not_lose_a_move(engine: Engine) -> None:
    await plant(engine, "acme")
    for version in ("1.0.0", "2.0.0"):
        await push(engine, "greet", version, body(version))
    seen = (await show_prompt(engine, NONE, "acme", "greet", by=OPERATOR)).labels
    assert seen == []
    await move_label(engine, NONE, "acme", "greet", "live", "1.0.0", NOW, by=OPERATOR, expected=0)
    with pytest.raises(Conflict, match="is not where you saw it") as caught:
        await move_label(
            engine, NONE, "acme", "greet", "live", "2.0.0", NOW, by=OPERATOR, expected=0
        )
    assert caught.value.detail_code == "prompt_label_moved"


async def test_of_many_movers_at_once_each_move_is_kept_or_told(engine: Engine) -> None:
    await plant(engine, "acme")
    for number in range(6):
        await push(engine, "greet", f"{number}.0.0", body(str(number)))

    async def move(number: int) -> bool:
        try:
            await label(engine, "greet", "live", f"{number}.0.0")
        except Conflict as error:
            return error.detail_code != "prompt_label_moved"
        return True

    kept = sum(await asyncio.gather(*(move(number) for number in range(6))))
    log = [one for one in await log_of(engine, NONE, "acme", "greet", by=OPERATOR) if one.label]
    assert len(log) == kept >= 1
    for after, before in itertools.pairwise(sorted(log, key=lambda one: -one.number)):
        assert (after.number, after.before) == (before.number + 1, before.version)


async def test_a_move_to_where_it_points_is_none(engine: Engine) -> None:
    await plant(engine, "acme")
    await push(engine, "greet", "1.0.0", body())
    await label(engine, "greet", "live", "1.0.0")
    await label(engine, "greet", "live", "1.0.0")
    assert await acts(engine) == ["prompts.push", "prompts.label"]


async def test_a_protected_label_is_moved_by_those_who_may_protect(engine: Engine) -> None:
    await plant(engine, "acme", "team<acme")
    developer, admin = (
        await acting(engine, "developer", "acme"),
        await acting(engine, "admin", "acme"),
    )
    await push(engine, "greet", "1.0.0", body(), "team", by=developer)
    with pytest.raises(NotAllowed):
        await protect(engine, "acme", "*", "production", NOW, by=developer)
    await protect(engine, "acme", "*", "production", NOW, by=admin)
    with pytest.raises(NotAllowed, match="is protected") as caught:
        await move_label(engine, NONE, "team", "greet", "production", "1.0.0", NOW, by=developer)
    assert caught.value.detail_code == "prompt_label_protected"
    await move_label(engine, NONE, "team", "greet", "staging", "1.0.0", NOW, by=developer)
    await move_label(engine, NONE, "team", "greet", "production", "1.0.0", NOW, by=admin)
    page = await show_prompt(engine, NONE, "team", "greet", by=developer)
    assert {one.label: one.is_protected for one in page.labels} == {
        "production": True,
        "staging": False,
    }
    with pytest.raises(NotAllowed):
        await remove_label(engine, NONE, "team", "greet", "production", NOW, by=developer)
    await unprotect(engine, "acme", "*", "production", by=admin)
    await remove_label(engine, NONE, "team", "greet", "production", NOW, by=developer)


async def test_the_nearest_owner_decides_and_others_are_not_there(engine: Engine) -> None:
    await plant(engine, "acme", "team<acme", "rival")
    await push(engine, "greet", "1.0.0", body("of everybody"), "*")
    await push(engine, "greet", "1.0.0", body("of acme"), "acme")
    await push(engine, "secret", "1.0.0", body("of acme alone"), "acme")
    assert await said(engine, "rival", "greet") == "of everybody"
    assert await said(engine, "team", "greet") == "of acme"
    assert await said(engine, "team", "secret") == "of acme alone"
    with pytest.raises(NotFound, match="There is no prompt 'secret'"):
        await said(engine, "rival", "secret")
    of_rival = await acting(engine, "developer", "rival")
    with pytest.raises(NotFound, match="There is no prompt 'secret'"):
        await find_prompt(engine, NONE, "rival", "secret", by=of_rival)
    with pytest.raises(NotFound, match="no tenant 'acme'"):
        await list_prompts(engine, NONE, "acme", by=of_rival)
    with pytest.raises(NotAllowed):
        await push(engine, "greet", "2.0.0", body(), "*", by=of_rival)
    lines = await list_prompts(engine, NONE, "team", by=OPERATOR)
    assert [(line.name, line.owner) for line in lines] == [("greet", "acme"), ("secret", "acme")]


async def test_what_is_needed_is_not_deleted(engine: Engine) -> None:
    await plant(engine, "acme", "team<acme")
    await push(engine, "house", "1.0.0", body("Be kind."))
    await push(engine, "house", "2.0.0", body("Be brief."))
    await push(engine, "greet", "1.0.0", body('{% include "house@1.0.0" %}'), "team")
    await label(engine, "house", "live", "2.0.0")
    with pytest.raises(Conflict, match="is labelled live"):
        await delete_version(engine, "acme", "house", "2.0.0", NOW, by=OPERATOR)
    with pytest.raises(Conflict, match=r"greet@1\.0\.0 of 'team' includes house@1\.0\.0"):
        await delete_version(engine, "acme", "house", "1.0.0", NOW, by=OPERATOR)
    await delete_version(engine, "team", "greet", "1.0.0", NOW, by=OPERATOR)
    await delete_version(engine, "acme", "house", "1.0.0", NOW, by=OPERATOR)
    with pytest.raises(NotFound):
        await said(engine, "team", "greet")
    with pytest.raises(Conflict, match="never used again"):
        await push(engine, "greet", "1.0.0", body(), "team")
    with pytest.raises(NotFound, match="deleted"):
        await label(engine, "house", "live", "1.0.0")


async def test_a_move_that_would_break_who_includes_it_is_refused(engine: Engine) -> None:
    await plant(engine, "acme")
    await push(engine, "house", "1.0.0", body("Be kind."))
    await label(engine, "house", "live", "1.0.0")
    await push(engine, "greet", "1.0.0", body('Hi. {% include "house@live" %}'))
    assert await said(engine, "acme", "greet") == "Hi. Be kind."
    await push(engine, "house", "2.0.0", body("a") + "## assistant\nb\n")
    with pytest.raises(Conflict, match="could not be used any more") as caught:
        await label(engine, "house", "live", "2.0.0")
    assert "greet@1.0.0" in caught.value.message
    with pytest.raises(Conflict, match="could not be used any more"):
        await remove_label(engine, NONE, "acme", "house", "live", NOW, by=OPERATOR)
    await push(engine, "house", "1.1.0", body("Be brief."))
    await label(engine, "house", "live", "1.1.0")
    assert await said(engine, "acme", "greet") == "Hi. Be brief."


async def test_a_circle_over_labels_is_refused_when_a_label_would_close_it(engine: Engine) -> None:
    await plant(engine, "acme")
    await push(engine, "a", "1.0.0", body("End"))
    await label(engine, "a", "live", "1.0.0")
    await push(engine, "b", "1.0.0", body('{% include "a@live" %}'))
    await push(engine, "a", "2.0.0", body('{% include "b@1.0.0" %}'))
    with pytest.raises(Conflict, match="includes itself: "):
        await label(engine, "a", "live", "2.0.0")


async def test_versions_are_compared_by_message_and_variable(engine: Engine) -> None:
    await plant(engine, "acme")
    await push(engine, "greet", "1.0.0", body("Hello {{ a }}", "[variables.a]"))
    await push(
        engine, "greet", "2.0.0", body("Hello {{ a }}!\nBye", "[variables.a]\ndefault = 'x'")
    )
    changes = await compare(engine, NONE, "acme", "greet@1.0.0", "greet@2.0.0", by=OPERATOR)
    assert [(c.part, c.name, c.kind) for c in changes] == [
        ("message", "user", "changed"),
        ("variable", "a", "changed"),
    ]
    assert changes[0].lines == ("-Hello {{ a }}", "+Hello {{ a }}!", "+Bye")


async def test_a_version_that_cannot_be_used_takes_no_other_with_it(engine: Engine) -> None:
    await plant(engine, "acme")
    await push(engine, "greet", "1.0.0", body())
    await push(engine, "greet", "2.0.0", body("{{ a }}", "[variables.a]\ndefault = 'x'"))
    async with reading(engine) as conn:
        registered = await read_registered(conn, {"acme": None})
    first, second = registered.versions
    torn = type(second)(second.tenant_id, second.name, second.version, second.content_hash, "+++")
    registry = Registry(NONE, type(registered)([first, torn], [], {"acme": None}))
    assert registry.resolve("acme", "greet", "1.0.0").version.version == "1.0.0"
    with pytest.raises(NotFound, match=r"greet@2.0.0 cannot be used"):
        registry.resolve("acme", "greet", "2.0.0")


MOVES = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["move", "back", "off"]), st.integers(1, 3)),
    max_size=14,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(moves=MOVES)
async def test_however_labels_move_they_point_to_where_the_log_says(
    engine: Engine, moves: list[tuple[str, str, int]]
) -> None:
    tenant = f"t-{next(COUNTER)}"
    await plant(engine, tenant)
    for number in (1, 2, 3):
        await push(engine, "greet", f"{number}.0.0", body(str(number)), tenant)
    for step, (to, deed, number) in enumerate(moves):
        now = NOW + timedelta(seconds=step)
        try:
            if deed == "move":
                await move_label(
                    engine, NONE, tenant, "greet", to, f"{number}.0.0", now, by=OPERATOR
                )
            else:
                act = roll_back if deed == "back" else remove_label
                await act(engine, NONE, tenant, "greet", to, now, by=OPERATOR)
        except (BadRequest, NotFound):
            continue
    log = await log_of(engine, NONE, tenant, "greet", by=OPERATOR)
    told: dict[str, str] = {}
    for line in reversed([line for line in log if line.label]):
        assert line.before == told.get(line.label, "")
        told[line.label] = line.version
    page = await show_prompt(engine, NONE, tenant, "greet", by=OPERATOR)
    assert {one.label: one.version for one in page.labels} == {k: v for k, v in told.items() if v}
