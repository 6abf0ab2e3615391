"""Set, show and remove limits: the same for command line, admin API and console."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import asdict, replace

from santral.audit.note import note
from santral.db.engine import Connection, Engine, reading, writing
from santral.errors import BadRequest, NotFound, nearest
from santral.quota import store
from santral.quota.rule import EACH, MEASURES, SCOPE_KINDS, WINDOWS, Rule, Scope
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Principal
from santral.tenants.store import find_keys, load_tree
from santral.tenants.tenant import EVERYWHERE, TenantId

#: Above this a limit is no limit and a likely slip; also what a 64-bit column and a float agree on.
_MOST = 10**15
#: Longest wait for room, in seconds. Chosen: clients and proxies give up after a minute or so.
_LONGEST_WAIT_S = 300.0
#: Rules of one tenant: each costs every one of its requests a look. Chosen.
_MOST_RULES = 10_000


class KnownRule(Struct, frozen=True, kw_only=True):
    """A rule as administrators see it: with the name of its key, and whether it is of the file."""

    rule: Rule
    name: str = ""
    is_declared: bool = False


async def set_rules(
    engine: Engine,
    rules: Sequence[Rule],
    now: datetime,
    *,
    new_id: Callable[[], str],
    by: Principal,
) -> list[Rule]:
    """Set rules, each in place of the one for the same scope, measure and window; all or none.

    The id of a rule that is new comes from ``new_id``; a key may be named by its prefix.

    Raises:
        NotFound: no such tenant or key.
        NotAllowed: no role that may change limits there.
        BadRequest: a rule means nothing, or contradicts another of the same scope.
    """
    made: list[tuple[Rule | None, Rule]] = []
    async with writing(engine) as conn:
        for rule in rules:
            known = await _checked(conn, rule, by)
            had = await _rule_at(conn, known)
            stored = await store.put_rule(
                conn, TenantId(known.tenant_id), replace(known, id=had.id if had else new_id()), now
            )
            made.append((had, stored))
        for had, stored in made:
            await _check_together(conn, stored)  # as all of them are now
            await note(
                conn,
                by.actor,
                "limits.set",
                f"limit:{stored.id}",
                tenant_id=stored.tenant_id,
                before=shown(had) if had else None,
                after=shown(stored),
            )
    return [stored for _, stored in made]


async def remove_rule(engine: Engine, rule_id: str, *, by: Principal) -> Rule:
    """Remove a limit.

    Raises:
        NotFound: no such rule, or none that ``by`` may see.
        NotAllowed: no role that may change limits there.
    """
    async with writing(engine) as conn:
        found = await store.find_rule(conn, rule_id)
        if found is None or not by.may("limits.read", TenantId(found.tenant_id)):
            raise NotFound(
                f"There is no limit '{rule_id[:64]}'. List them with: santral limits show"
            )
        by.require("limits.write", TenantId(found.tenant_id))
        await store.drop_rule(conn, TenantId(found.tenant_id), rule_id)
        await note(
            conn,
            by.actor,
            "limits.remove",
            f"limit:{rule_id}",
            tenant_id=found.tenant_id,
            before=shown(found),
        )
    return found


async def show_rules(
    engine: Engine, tenant: str, declared: Iterable[Rule] = (), *, by: Principal
) -> list[KnownRule]:
    """Return the limits that hold for a tenant: its own, those of who stands above it, the file's.

    ``*`` shows those of the installation.

    Raises:
        NotFound: no such tenant.
    """
    async with reading(engine) as conn:
        id_ = TenantId(tenant)
        by.require("limits.read", id_)
        if id_ != EVERYWHERE:
            await known_tenant(conn, tenant)
        path = (await load_tree(conn)).path(id_) or [id_]
        owners = list(dict.fromkeys([*path, EVERYWHERE]))
        found = [rule for owner in owners for rule in await store.rules_of_tenant(conn, owner)]
        rows = [
            KnownRule(rule=rule, name=await _key_name(conn, rule))
            for rule in found
            if rule.tenant_id == id_ or by.may("limits.read", TenantId(rule.tenant_id))
        ]
    return rows + [KnownRule(rule=rule, is_declared=True) for rule in declared]


def shown(rule: Rule) -> dict[str, Any]:
    """Return a rule as it is written in answers and in the audit log: what is not set is left out."""
    values = asdict(rule)
    kind, id_ = rule.scope
    values["scope"] = f"{kind}:{id_}"
    return {
        name: value for name, value in values.items() if value not in (None, "", (), 0.0, False)
    }


def check(rule: Rule) -> None:
    """Refuse a rule that no request could meet, or that means nothing.

    Raises:
        BadRequest: naming the field.
    """
    _check_words(rule)
    _check_amount(rule)
    _check_consequences(rule)


async def _checked(conn: Connection, rule: Rule, by: Principal) -> Rule:
    """Return the rule with the id of the key that it names by a prefix."""
    by.require("limits.write", TenantId(rule.tenant_id))
    if rule.tenant_id != EVERYWHERE:
        await known_tenant(conn, rule.tenant_id)
    check(rule)
    kind, id_ = rule.scope
    if kind == "tenant" and id_ != EACH:
        if not await _is_within(conn, TenantId(id_), rule):  # nor is one that does not exist
            raise BadRequest(
                f"The tenant '{id_}' is not a part of '{rule.tenant_id}', whose limit this would be.",
                param="scope_id",
            )
        await known_tenant(conn, id_)
    if kind == "key" and id_ != EACH:
        return replace(rule, scope=Scope("key", await _key_id(conn, rule)))
    return rule


async def _is_within(conn: Connection, tenant: TenantId, rule: Rule) -> bool:
    """Whether a tenant is the rule's own or a part of it."""
    if rule.tenant_id in (EVERYWHERE, tenant):
        return True
    return (await load_tree(conn)).is_within(tenant, TenantId(rule.tenant_id))


async def _key_id(conn: Connection, rule: Rule) -> str:
    found = [
        key
        for key in await find_keys(conn, rule.scope.id.rstrip("…"))  # as lists show a prefix
        if await _is_within(conn, key.tenant_id, rule)
    ]
    if len(found) != 1:
        many = "several keys that begin with" if found else "no key"
        raise NotFound(
            f"The tenant '{rule.tenant_id}' has {many} '{rule.scope.id}'. List them with: "
            "santral keys list",
            param="scope_id",
        )
    return found[0].id


async def _key_name(conn: Connection, rule: Rule) -> str:
    if rule.scope.kind != "key" or rule.scope.id == EACH:
        return ""
    found = await find_keys(conn, rule.scope.id)
    return found[0].name if found else ""


async def _rule_at(conn: Connection, rule: Rule) -> Rule | None:
    rules = await store.rules_of_tenant(conn, TenantId(rule.tenant_id))
    found = next((other for other in rules if other.place == rule.place), None)
    if found is None and len(rules) >= _MOST_RULES:
        raise BadRequest(f"The tenant '{rule.tenant_id}' has {_MOST_RULES} limits already.")
    return found


async def _check_together(conn: Connection, rule: Rule) -> None:
    """Refuse a rule that makes another of the same scope pointless, or that is pointless beside it.

    A limit over a shorter time that is larger than one over a longer time can never be reached.
    """
    if rule.amount is None or rule.measure == "concurrent":
        return
    for other in await store.rules_of_tenant(conn, TenantId(rule.tenant_id)):
        if (other.scope, other.measure) != (rule.scope, rule.measure) or other.amount is None:
            continue
        if other.is_dry_run or rule.is_dry_run or other.place == rule.place:
            continue
        short, long = sorted((rule, other), key=lambda r: WINDOWS.index(r.window))
        if short.window != long.window and (short.amount or 0) > (long.amount or 0):
            raise BadRequest(
                f"The limit per {short.window} ({short.amount}) is above the one per {long.window} "
                f"({long.amount}) of the same {rule.scope.kind}, so it could never be reached. "
                "Lower the first, raise the second, or remove one.",
                param="amount",
                code="limits_contradict",
            )


def _check_words(rule: Rule) -> None:
    for name, value, known in (
        ("scope", rule.scope.kind, SCOPE_KINDS),
        ("measure", rule.measure, MEASURES),
        ("window", rule.window, WINDOWS),
    ):
        if value not in known:
            raise BadRequest(
                f"{name}: '{value}' is none of {', '.join(filter(None, known))}."
                f"{nearest(value, known)}",
                param=name,
            )
    if not _is_name(rule.scope.id):
        raise BadRequest(
            "scope_id: name whom the limit binds, in up to 256 characters; * is each one for itself.",
            param="scope_id",
        )
    if rule.scope.kind == "tag" and rule.scope.id != EACH and "=" not in rule.scope.id:
        raise BadRequest("scope_id: a tag is written as name=value, or name=*.", param="scope_id")
    if (rule.window == "") != (rule.measure == "concurrent"):
        raise BadRequest(
            "window: requests at once have none, all other limits need one of "
            f"{', '.join(filter(None, WINDOWS))}.",
            param="window",
        )
    if rule.window == "second" and rule.measure != "requests":
        raise BadRequest("window: only requests are limited per second.", param="window")


def _check_amount(rule: Rule) -> None:
    if rule.window == "second":
        rate = rule.rate
        if rate is None or not (math.isfinite(rate) and 0 < rate <= _MOST):
            raise BadRequest("rate: requests per second must be above zero.", param="rate")
        if rule.amount is not None:
            raise BadRequest("amount: requests per second have a rate instead.", param="amount")
    elif rule.rate is not None:
        raise BadRequest("rate: only requests per second have one.", param="rate")
    elif rule.amount is None or not 1 <= rule.amount <= _MOST * 10:
        raise BadRequest("amount: must be 1 or more, and below 10^16.", param="amount")
    if rule.burst is not None and rule.rate is None:
        raise BadRequest("burst: is the reserve of requests per second alone.", param="burst")
    if rule.burst is not None and not 1 <= rule.burst <= 1_000_000_000:
        raise BadRequest("burst: must be 1 or more: it is requests at once.", param="burst")


def _check_consequences(rule: Rule) -> None:
    if rule.is_rolling and (rule.window in ("", "second") or rule.time_zone != "UTC"):
        raise BadRequest(
            "is_rolling: a window that rolls begins nowhere, so it has no time zone; per second and "
            "at once nothing rolls.",
            param="is_rolling",
        )
    try:
        ZoneInfo(rule.time_zone)
    except (OSError, ValueError, KeyError):  # ZoneInfo says KeyError for an unknown zone
        raise BadRequest(
            f"time_zone: '{rule.time_zone[:64]}' is not known. Write it as Europe/Istanbul.",
            param="time_zone",
        ) from None
    if not 0 <= rule.wait_s <= _LONGEST_WAIT_S:
        raise BadRequest(f"wait_s: from 0 to {_LONGEST_WAIT_S:g} seconds.", param="wait_s")
    if rule.wait_s and rule.fall_to:
        raise BadRequest(
            "wait_s and fall_to contradict each other: a request waits, or another deployment answers.",
            param="fall_to",
            code="limits_contradict",
        )
    if any(not 0 < f <= 1 for f in rule.warn_at) or list(rule.warn_at) != sorted(rule.warn_at):
        raise BadRequest("warn_at: fractions above 0 up to 1, ascending.", param="warn_at")
    if rule.fall_to and not _is_name(rule.fall_to):
        raise BadRequest("fall_to: a deployment's name, in up to 256 characters.", param="fall_to")
    if rule.webhook and urlsplit(rule.webhook).scheme not in ("http", "https"):
        raise BadRequest("webhook: an address that begins with https://.", param="webhook")


def _is_name(text: str) -> bool:
    return 0 < len(text) <= 256 and text.isprintable()
