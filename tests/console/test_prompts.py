"""Pages of prompts: what there is, who moved a label, what differs, and what a model would be told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.console.conftest import HOSTILE, RunningConsole

from santral.prompts.label import move_label, protect
from santral.prompts.library import PromptLibrary
from santral.prompts.push import push_version
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant

NAMED = "tenant=acme&name=triage"
POLICY = "default-src 'none'"


def body(said: str) -> str:
    return (
        f"+++\ndescription = '''{HOSTILE}'''\nchangelog = '''{HOSTILE}'''\nowner = 'Support'\n"
        "[variables.ticket]\nuntrusted = true\n[variables.level]\ntype = 'integer'\ndefault = 1\n+++\n"
        f"## system\n{said} {{{{ level }}}}\n## user\n{{{{ ticket }}}}\n"
    )


@pytest.fixture
def house(tmp_path: Path) -> Iterator[RunningConsole]:
    files = tmp_path / "prompts" / "declared"
    files.mkdir(parents=True)
    (files / "1.0.0.md").write_text("+++\n+++\n## user\nHello\n")

    def settings(url: str) -> dict[str, Any]:
        return {
            "data": {"folder": str(tmp_path / "data")},
            "prompts": {"folder": str(tmp_path / "prompts")},
        }

    running = RunningConsole(tmp_path, settings=settings)
    by, now = local_operator(), datetime.now(UTC)

    async def fill() -> None:
        engine, none = running.engine, PromptLibrary({})
        await create_tenant(engine, "acme", None, now, by=by)
        for version, said in (("1.0.0", "Sort"), ("2.0.0", f"Sort well {HOSTILE[:20]}")):
            await push_version(engine, none, "acme", "triage", version, body(said), now, by=by)
            await move_label(engine, none, "acme", "triage", "production", version, now, by=by)
        await protect(engine, "acme", "triage", "canary", now, by=by)

    running.do(fill())
    yield running
    running.stop()


def labels(text: str) -> dict[str, str]:
    return dict(re.findall(r"<strong>(\w+)</strong>.*?version=([\d.]+)\"", text, re.DOTALL))


@pytest.mark.parametrize("lang", ["en", "tr"])
def test_every_page_is_strict_and_shows_content_as_text(house: RunningConsole, lang: str) -> None:
    with house.client() as owner:
        for path in (
            "/prompts?tenant=acme",
            f"/prompts/one?{NAMED}",
            "/prompts/one?tenant=acme&name=declared",
            f"/prompts/diff?{NAMED}&old=1.0.0&new=2.0.0",
            f"/prompts/version?{NAMED}&version=2.0.0",
        ):
            answer = owner.get(path, headers={"accept-language": lang})
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-security-policy"].startswith(POLICY)
            assert f'<html lang="{lang}">' in answer.text
            assert "<script>window.hit" not in answer.text
            assert " style=" not in answer.text


def test_a_label_moves_back_and_the_log_says_why(house: RunningConsole) -> None:
    with house.client() as owner:
        assert labels(owner.get(f"/prompts/one?{NAMED}").text) == {"production": "2.0.0"}
        form = {"tenant": "acme", "name": "triage", "owner": "acme", "label": "production"}
        done = owner.send_form(
            "/prompts/label", **form, deed="rollback", reason="worse", expected="2"
        )
        assert done.status_code == 303, done.text
        text = owner.get(f"/prompts/one?{NAMED}").text
        assert labels(text) == {"production": "1.0.0"}
        assert "rolled back" in text
        assert ">worse<" in text
        stale = owner.send_form("/prompts/label", **form, deed="remove", expected="2")
        assert stale.status_code == 409
        assert "is not where you saw it" in stale.text


def test_a_protected_label_is_refused_to_a_developer(house: RunningConsole) -> None:
    with house.client("developer", "acme") as developer:
        form = {"tenant": "acme", "name": "triage", "owner": "acme", "version": "1.0.0"}
        refused = developer.send_form("/prompts/label", **form, label="canary", deed="move")
        assert refused.status_code == 403
        moved = developer.send_form("/prompts/label", **form, label="staging", deed="move")
        assert moved.status_code == 303
    with house.client("viewer", "acme") as viewer:
        assert "/prompts/label" not in viewer.get(f"/prompts/one?{NAMED}").text
        refused = viewer.send_form("/prompts/label", **form, label="staging", deed="move")
        assert refused.status_code == 403


def test_another_tenants_prompt_is_not_there(house: RunningConsole) -> None:
    with house.client("owner", "default") as stranger:
        assert stranger.get(f"/prompts/one?{NAMED}").status_code == 404
        assert stranger.get("/prompts/one?tenant=default&name=triage").status_code == 404


def test_what_differs_is_shown_line_by_line(house: RunningConsole) -> None:
    with house.client() as owner:
        text = owner.get(f"/prompts/diff?{NAMED}&old=1.0.0&new=2.0.0").text
    assert "<del>-Sort {{ level }}</del>" in text
    assert "<ins>+Sort well" in text


def test_a_prompt_is_filled_in_and_what_is_wrong_is_named(house: RunningConsole) -> None:
    form = {"tenant": "acme", "name": "triage", "version": "1.0.0"}
    with house.client() as owner:
        filled = owner.send_form("/prompts/version", **form, var_ticket="My bill", var_level="3")
        assert "Sort 3" in filled.text
        assert "My bill" in filled.text
        assert "&lt;data name=&#34;ticket&#34;&gt;" in filled.text
        wrong = owner.send_form("/prompts/version", **form, var_level="3")
        assert wrong.status_code == 400
        assert "is missing" in wrong.text
