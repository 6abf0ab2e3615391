"""``santral guardrails list`` and ``try``: see the checks, and what a policy says about a text."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from santral.config.load import load
from santral.errors import ConfigError, nearest
from santral.guardrails.policy import CheckList, Outcome, compile_policy, inspect
from santral.guardrails.registry import CHECKS
from santral.tenants.table import print_table
from santral.traces.readable import visible

guardrails_app = typer.Typer(
    name="guardrails", help="See the checks, and try a policy on a text.", no_args_is_help=True
)
_COLOURS = {
    "refuse": "red",
    "mask": "yellow",
    "retry": "yellow",
    "report": "cyan",
    "allow": "green",
}


@guardrails_app.command("list")
def list_checks(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="santral.toml to read.")
    ] = None,
) -> None:
    """Show every check, where it looks and what it can do, then the configured policies."""
    policies = load(config, os.environ).config.policies
    print_table(
        ("check", "looks at", "actions (default first)", "settings"),
        [
            (
                name,
                ", ".join(sorted(kind.places)),
                ", ".join(kind.actions),
                ", ".join(kind.Params.__struct_fields__) or "none",
            )
            for name, kind in CHECKS.items()
        ],
    )
    for name, policy in policies.items():
        lists = ("input", policy.input), ("retrieved", policy.retrieved), ("output", policy.output)
        shown = [
            f"{place}: {', '.join(c.check for c in checks)}" for place, checks in lists if checks
        ]
        typer.echo(f"policy {name}: {'; '.join(shown) or 'no checks'}")


@guardrails_app.command("try")
def try_policy(
    text: Annotated[
        str | None, typer.Argument(help="The text; standard input when left out.")
    ] = None,
    policy: Annotated[
        str, typer.Option("--policy", "-p", help="A name under [policies].")
    ] = "default",
    place: Annotated[
        Literal["input", "retrieved", "output"], typer.Option(help="Which list of checks to run.")
    ] = "input",
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="santral.toml to read.")
    ] = None,
) -> None:
    """Run a policy over a text and print what each check says; exit status 1 when refused."""
    checks = _checks(policy, place, config)
    given = text if text is not None else sys.stdin.read()
    outcome = asyncio.run(inspect(checks, (given,), place))
    _show(outcome)
    if outcome.refusal:
        raise typer.Exit(1)


def _checks(name: str, place: str, config: Path | None) -> CheckList:
    policies = load(config, os.environ).config.policies
    if name not in policies:
        hint = nearest(name, policies) or f" Known: {', '.join(policies) or 'none'}."
        raise ConfigError(f"There is no policy '{name}' in the configuration.{hint}")
    compiled = compile_policy(name, policies[name])
    return {"input": compiled.input, "retrieved": compiled.retrieved, "output": compiled.output}[
        place
    ]


def _show(outcome: Outcome) -> None:
    console = Console()
    table = Table("check", "verdict", "action", "count", "reason", "us")
    for verdict in outcome.verdicts:
        table.add_row(
            verdict.check,
            verdict.verdict,
            f"[{_COLOURS[verdict.action]}]{verdict.action}[/]",
            str(verdict.count),
            verdict.reason,
            str(verdict.duration_us),
        )
    console.print(table)
    if outcome.refusal:
        console.print(
            f"refused by {outcome.refusal.check}: {outcome.refusal.reason}",
            markup=False,
            soft_wrap=True,
        )
    elif outcome.is_changed:
        console.print("goes on as:", style="bold")
        console.print(visible(outcome.texts[0]), markup=False, highlight=False, soft_wrap=True)
    else:
        console.print("goes on unchanged", style="bold")
