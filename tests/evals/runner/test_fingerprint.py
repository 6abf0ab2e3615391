"""What answers depend on: another prompt inside, or another one of the control, is another fingerprint."""

from __future__ import annotations

from pathlib import Path

import pytest

from santral.config.load import load
from santral.db.engine import Engine, reading
from santral.evals.fingerprint import Fingerprint, fingerprint
from santral.evals.suite import Target
from santral.tenants.tenant import DEFAULT_TENANT

pytestmark = pytest.mark.anyio

CONFIG = """\
[providers.local]
kind = "extractive"

[deployments.small]
provider = "local"
model = "extractive"

[routes.help]
ladder = [{ deployments = { small = 1.0 } }]
prompt = "help@1.0.0"

[routes.tried]
ladder = [{ deployments = { small = 1.0 } }]
prompt = "help@1.0.0"
experiment = "terse"

[experiments.terse]
salt = "s"
[experiments.terse.variants.control]
weight = 1
[experiments.terse.variants.short]
weight = 1
prompt = "short@1.0.0"
"""
HELP = '+++\n+++\n## system\nYou help.\n{% include "rules" %}\n'
PLAIN = "+++\n+++\n## system\n{}\n"


def write_prompt(folder: Path, name: str, version: str, text: str) -> None:
    place = folder / "prompts" / name / f"{version}.md"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "santral.toml").write_text(CONFIG)
    write_prompt(tmp_path, "help", "1.0.0", HELP)
    write_prompt(tmp_path, "rules", "1.0.0", PLAIN.format("Be kind."))
    write_prompt(tmp_path, "short", "1.0.0", PLAIN.format("Be short."))
    return tmp_path


async def print_of(engine: Engine, folder: Path, route: str) -> Fingerprint:
    loaded = load(folder / "santral.toml", {})
    async with reading(engine) as conn:
        return await fingerprint(loaded, conn, DEFAULT_TENANT, Target(name="t", route=route))


@pytest.mark.parametrize("route", ["help", "tried"])
async def test_another_text_inside_of_a_prompt_is_another_fingerprint(
    sqlite_engine: Engine, folder: Path, route: str
) -> None:
    before = await print_of(sqlite_engine, folder, route)
    assert await print_of(sqlite_engine, folder, route) == before

    write_prompt(folder, "rules", "1.1.0", PLAIN.format("Be rude."))

    assert (await print_of(sqlite_engine, folder, route)).config_hash != before.config_hash


async def test_arms_with_different_prompts_name_no_prompt_of_their_own(
    sqlite_engine: Engine, folder: Path
) -> None:
    assert (await print_of(sqlite_engine, folder, "help")).prompt == "help@1.0.0"
    assert (await print_of(sqlite_engine, folder, "tried")).prompt == ""
