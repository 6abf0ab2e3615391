"""``santral limits`` and ``santral budgets set``."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from santral.errors import BadRequest, NotFound
from santral.quota.cli import budgets_app, limits_app
from santral.tenants.cli import keys_app, tenants_app

run = CliRunner()
whole = typer.Typer()  # one command alone would be no group
whole.add_typer(budgets_app, name="budgets")
whole.add_typer(limits_app, name="limits")


@pytest.fixture(autouse=True)
def _data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SANTRAL_CONFIG", raising=False)
    assert run.invoke(tenants_app, ["create", "acme"]).exit_code == 0


def rows(*arguments: str) -> list[list[str]]:
    done = run.invoke(limits_app, arguments)
    assert done.exit_code == 0, done.output or done.exception
    return [line.split("\t") for line in done.stdout.splitlines()]


def limits(tenant: str = "acme") -> set[tuple[str, str, str]]:
    """What is shown of the limits that hold: whom they bind, how much, what then."""
    return {(binds, amount, then) for _, _, binds, amount, then in rows("show", tenant)[1:]}


def test_limits_in_force_are_shown_with_those_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "santral.toml").write_text("[limits]\ntokens_per_day = 5000\n")
    made = rows("set", "acme", "--requests-per-second", "2.5", "--burst", "9", "--wait-s", "3")
    assert made[1][1:] == ["acme", "itself", "2.5 requests per second", "burst 9; wait 3 s"]
    shown = rows("show", "acme")
    assert shown[0] == ["id", "owner", "binds", "limit", "then"]
    assert shown[1] == made[1]
    assert shown[2] == ["santral.toml", "*", "each tenant", "5000 tokens per UTC day", ""]


def test_named_limits_are_set_together_and_others_stay() -> None:
    rows("set", "acme", "--tokens-per-day", "100", "--requests-per-minute", "5")
    rows("set", "acme", "--tokens-per-day", "200", "--usd-per-month", "0.1", "--warn-at", "0.5")
    assert limits() == {
        ("itself", "200 tokens per UTC day", "warn at 50%"),
        ("itself", "5 requests in any 60 seconds", ""),
        ("itself", "$0.1 per UTC month", "warn at 50%"),
    }


@pytest.mark.parametrize(
    ("options", "binds"),
    [
        (["--user", "*"], "each user"),
        (["--user", "ann"], "user ann"),
        (["--route", "plain"], "route plain"),
        (["--model", "gpt-5"], "model gpt-5"),
        (["--tag", "team=*"], "tag team=*"),
    ],
)
def test_limits_bind_whom_they_name(options: list[str], binds: str) -> None:
    rows("set", "acme", *options, "--concurrent-requests", "3", "--dry-run")
    assert limits() == {(binds, "3 requests at once", "dry run")}


def test_a_zone_is_for_windows_of_the_calendar() -> None:
    rows(
        "set",
        "acme",
        "--tokens-per-day",
        "9",
        "--tokens-per-minute",
        "5",
        "--time-zone",
        "Asia/Tokyo",
    )
    assert limits() == {
        ("itself", "9 tokens per day (Asia/Tokyo)", ""),
        ("itself", "5 tokens in any 60 seconds", ""),
    }
    rows("set", "acme", "--usd-per-week", "7", "--rolling")
    assert ("itself", "$7 in any 7 days", "") in limits()


def test_a_key_is_limited_by_its_prefix_and_freed_by_its_limits_id() -> None:
    key = run.invoke(keys_app, ["create", "-t", "acme", "--name", "shop"]).stdout.strip()
    made = rows("set", "acme", "--key", f"{key[:17]}…", "--tokens-per-day", "100")
    ((binds, amount, _),) = limits()
    assert binds.startswith("key shop (key_")
    assert amount == "100 tokens per UTC day"
    removed = run.invoke(limits_app, ["remove", made[1][0]])
    assert removed.stdout.startswith("Removed: key key_")
    assert "Nothing limits the tenant 'acme'" in run.invoke(limits_app, ["show", "acme"]).stdout


def test_the_installations_limit_is_each_tenants() -> None:
    rows("set", "*", "--requests-per-day", "5")
    assert limits() == {("each tenant", "5 requests per UTC day", "")}


def test_a_budget_warns_at_80_and_95_percent_unless_told_else() -> None:
    done = run.invoke(
        whole, ["budgets", "set", "12.50", "-t", "acme", "--time-zone", "Europe/Istanbul"]
    )
    assert done.exit_code == 0
    rows("set", "acme", "--usd-per-day", "3", "--fall-to", "small")
    assert limits() == {
        ("itself", "$12.5 per month (Europe/Istanbul)", "warn at 80%, 95%"),
        ("itself", "$3 per UTC day", "then small"),
    }


def test_both_commands_set_the_same_budget() -> None:
    for per in ("month", "week", "day", "hour"):  # none may be above a longer one
        assert run.invoke(whole, ["budgets", "set", "1", "-t", "acme", "--per", per]).exit_code == 0
        rows("set", "acme", f"--usd-per-{per}", "2")
    assert sorted(amount for _, amount, _ in limits()) == [
        "$2 in any 60 minutes",
        "$2 per UTC day",
        "$2 per UTC month",
        "$2 per UTC week",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["set", "acme"],
        ["set", "acme", "--tokens-per-day", "5", "--burst", "5"],
        ["set", "acme", "--tokens-per-day", "5", "--user", "ann", "--route", "plain"],
        ["set", "acme", "--tokens-per-minute", "5", "--time-zone", "Asia/Tokyo"],
    ],
    ids=str,
)
def test_options_that_say_nothing_are_refused(arguments: list[str]) -> None:
    assert run.invoke(limits_app, arguments).exit_code == 2
    assert "Nothing limits" in run.invoke(limits_app, ["show", "acme"]).stdout


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["set", "acne", "--tokens-per-day", "5"], NotFound),
        (["set", "acme", "--tokens-per-day", "0"], BadRequest),
        (["set", "acme", "--usd-per-day", "nan"], BadRequest),
        (["set", "acme", "--usd-per-day", "inf"], BadRequest),
        (["set", "acme", "--requests-per-second", "inf"], BadRequest),
        (["set", "acme", "--tokens-per-day", "5", "--uncoordinated", "guess"], BadRequest),
        (["set", "acme", "--tokens-per-day", "5", "--time-zone", "Mars/Olympus"], BadRequest),
        (["set", "acme", "--key", "sk-santral-nobody", "--tokens-per-day", "5"], NotFound),
        (["remove", "lim_nobody"], NotFound),
        (["show", "acne"], NotFound),
    ],
    ids=str,
)
def test_mistakes_are_raised_as_sentences(arguments: list[str], error: type[Exception]) -> None:
    assert isinstance(run.invoke(limits_app, arguments).exception, error)
