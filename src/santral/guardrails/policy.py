"""Policies: ordered checks for what goes in, what was retrieved, and what comes out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from santral.config.policies import CheckConfig, PolicyConfig
from santral.errors import ConfigError, nearest
from santral.guardrails.check import NO_CONTEXT, Check, EntityCheck, Eye, Inspection, OutputContext
from santral.guardrails.entities.mask import Placeholders
from santral.guardrails.registry import CHECKS
from santral.guardrails.verdict import Action, Finding, Judgement, Verdict

Place = Literal["input", "retrieved", "output"]

#: Texts longer than this together leave the event loop. Chosen: ordinary ones of this length take
#: 0.2 ms; digits without end, made to be slow, take 15 ms a thousand.
ON_LOOP_CHARACTERS: Final = 65_536


class PolicyCheck(Struct, frozen=True):
    """A check as one policy uses it."""

    name: str
    call: Check
    action: Action
    is_closed: bool  # whether a failure of the check itself refuses
    passed: Verdict  # what it says when no pattern hit


class CheckList(tuple[PolicyCheck, ...]):
    """Checks in order, and the patterns of all of them compiled into one Set."""

    eye: Eye

    @classmethod
    def of(cls, checks: Iterable[PolicyCheck]) -> CheckList:
        """Return ``checks`` ready to inspect with."""
        made = cls(checks)
        made.eye = Eye([check.call for check in made])
        return made


class Policy(Struct, frozen=True):
    """A named policy, compiled: immutable, shared by all requests."""

    name: str
    input: CheckList
    retrieved: CheckList
    output: CheckList
    needs_whole: (
        bool  # an answer must be buffered: a check that may refuse or retry reads all of it
    )
    after_stream: CheckList  # what only reports and reads the whole: run it when a stream has ended


class Outcome(Struct, frozen=True):
    """What all checks of one place said together."""

    texts: tuple[str, ...]
    is_changed: bool = False
    verdicts: tuple[Verdict, ...] = ()
    refusal: Verdict | None = None
    retry: Verdict | None = None


def compile_policy(
    name: str, config: PolicyConfig, checks: Mapping[str, type[Check]] = CHECKS
) -> Policy:
    """Build a policy from its settings.

    Raises:
        ConfigError: an unknown check, parameter or action; names policy, list and index.
    """
    output = _compile_list(f"policies.{name}.output", config.output, "output", checks)
    output.eye.prepare_streams()
    whole = [check for check in output if check.call.reads_whole]
    return Policy(
        name=name,
        input=_compile_list(f"policies.{name}.input", config.input, "input", checks),
        retrieved=_compile_list(
            f"policies.{name}.retrieved", config.retrieved, "retrieved", checks
        ),
        output=output,
        needs_whole=any(check.action != "report" for check in whole)
        or any(check.action == "hold" for check in output),
        after_stream=CheckList.of(whole),
    )


def _compile_list(
    where: str, configs: Sequence[CheckConfig], place: Place, checks: Mapping[str, type[Check]]
) -> CheckList:
    compiled: list[PolicyCheck] = []
    looked_for: dict[str, str] = {}
    for index, config in enumerate(configs):
        check = _compile_check(f"{where}[{index}]", config, place, checks)
        if isinstance(check.call, EntityCheck):
            for kind in sorted(check.call.kinds):
                if kind in looked_for:
                    raise ConfigError(
                        f"{where}[{index}]: '{kind.lower()}' is already looked for by"
                        f" {looked_for[kind]}; name the entities of each check apart."
                    )
                looked_for[kind] = f"{where}[{index}]"
        compiled.append(check)
    return CheckList.of(compiled)


def _compile_check(
    where: str, config: CheckConfig, place: Place, checks: Mapping[str, type[Check]]
) -> PolicyCheck:
    kind = checks.get(config.check)
    if kind is None:
        hint = nearest(config.check, checks) or f" Known: {', '.join(checks)}."
        raise ConfigError(f"{where}: unknown check '{config.check}'.{hint}")
    if place not in kind.places:
        raise ConfigError(
            f"{where}: check '{config.check}' does not look at {place};"
            f" it belongs to {', '.join(sorted(kind.places))}."
        )
    action = config.action or kind.actions[0]
    can = (*kind.actions, "hold") if place == "output" else kind.actions
    if action not in can:
        raise ConfigError(
            f"{where}: check '{config.check}' cannot {action} here; it can {', '.join(can)}."
        )
    return PolicyCheck(
        config.check,
        _build(where, kind, config),
        action,
        config.on_failure == "closed",
        Verdict(config.check, "passed", "allow"),
    )


def _build(where: str, kind: type[Check], config: CheckConfig) -> Check:
    params = config.params
    known = kind.Params.__struct_fields__
    for given in params:
        if given not in known:
            hint = nearest(given, known) or f" Known: {', '.join(known)}."
            raise ConfigError(f"{where}: check '{config.check}' has no setting '{given}'.{hint}")
    try:
        return kind(msgspec.convert(params, kind.Params))
    except (msgspec.ValidationError, ValueError) as error:
        raise ConfigError(f"{where}: check '{config.check}': {error}.") from None


async def inspect(
    checks: Sequence[PolicyCheck],
    texts: Sequence[str],
    place: str,
    *,
    placeholders: Placeholders | None = None,
    context: OutputContext = NO_CONTEXT,
) -> Outcome:
    """Run ``checks`` over ``texts``; every check says something, also when an earlier one refused.

    Give the same ``placeholders`` to every call for one request, so that a value keeps its number.
    Long texts are looked at in a thread, so that other requests are served meanwhile.
    """
    if not checks or not texts:
        return Outcome(tuple(texts))
    listed = checks if isinstance(checks, CheckList) else CheckList.of(checks)
    if sum(map(len, texts)) <= ON_LOOP_CHARACTERS:
        return await _inspect(listed, texts, place, placeholders, context)
    return await asyncio.to_thread(
        lambda: asyncio.run(_inspect(listed, texts, place, placeholders, context))
    )


async def _inspect(
    listed: CheckList,
    texts: Sequence[str],
    place: str,
    placeholders: Placeholders | None,
    context: OutputContext,
) -> Outcome:
    looked = Inspection(listed.eye, texts, place, context)
    verdicts = tuple(
        [
            check.passed
            if looked.is_clean and check.call.only_patterns
            else await _judge(check, looked)
            for check in listed
        ]
    )
    if looked.is_clean and all(verdict.verdict == "passed" for verdict in verdicts):
        return Outcome(tuple(texts), False, verdicts)
    masked = _masked(listed, looked, verdicts, placeholders)
    return Outcome(
        masked or tuple(texts),
        masked is not None,
        verdicts,
        _first(verdicts, "refuse"),
        _first(verdicts, "retry"),
    )


async def inspect_output(
    checks: Sequence[PolicyCheck],
    text: str,
    context: OutputContext,
    *,
    placeholders: Placeholders | None = None,
) -> Outcome:
    """Run output checks over one whole answer."""
    return await inspect(checks, (text,), "output", placeholders=placeholders, context=context)


async def _judge(check: PolicyCheck, looked: Inspection) -> Verdict:
    started = time.perf_counter_ns()
    try:
        finding = await check.call(looked)
    except Exception as error:  # noqa: BLE001 - a broken check is a verdict; the policy says which way it falls
        return failed(check, error, started)
    if not finding.count:
        return Verdict(check.name, "passed", "allow", "", 0, _since(started))
    return found(check, finding, started)


def found(check: PolicyCheck, finding: Finding, started: int) -> Verdict:
    """Return the verdict for something found."""
    return Verdict(
        check.name,
        "found",
        finding.action or check.action,
        finding.reason,
        finding.count,
        _since(started),
        finding.spans,
    )


def failed(check: PolicyCheck, error: Exception, started: int) -> Verdict:
    """Return the verdict of a check that broke: fail closed refuses, fail open allows."""
    judgement: Judgement = "failed"
    action: Action = "refuse" if check.is_closed else "allow"
    reason = f"the check itself failed ({type(error).__name__})"
    return Verdict(check.name, judgement, action, reason, 0, _since(started))


def _since(started: int) -> int:
    return (time.perf_counter_ns() - started) // 1000


def _first(verdicts: Sequence[Verdict], action: Action) -> Verdict | None:
    for verdict in verdicts:
        if verdict.action == action:
            return verdict
    return None


def _masked(
    checks: CheckList,
    looked: Inspection,
    verdicts: Sequence[Verdict],
    placeholders: Placeholders | None,
) -> tuple[str, ...] | None:
    found_by = frozenset(verdict.check for verdict in verdicts if verdict.action == "mask")
    kinds = masked_kinds(checks, found_by)
    if not kinds:
        return None
    return looked.masked(kinds, placeholders or Placeholders())


def masked_kinds(checks: CheckList, names: frozenset[str] | None = None) -> frozenset[str]:
    """Return the kinds of entities that the checks (only those of ``names``) mask."""
    masking = [
        kinds
        for check, kinds in zip(checks, checks.eye.kinds_of, strict=True)
        if check.action == "mask" and (names is None or check.name in names)
    ]
    return frozenset[str]().union(*masking)
