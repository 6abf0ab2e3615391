"""What a role may do, and who administers: the one place that decides.

A role is held over a tenant and everything beneath it, or over ``*``, the whole installation. Every
endpoint of the admin API names one action; the command line acts as the operator of the machine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Literal, TypeAlias, get_args

from msgspec import Struct

from santral.audit.note import Actor
from santral.errors import BadRequest, NotAllowed, NotFound, nearest
from santral.tenants.tenant import EVERYWHERE, Role, TenantId
from santral.tenants.tree import TenantTree

Action: TypeAlias = Literal[
    "tenants.read",
    "tenants.write",
    "keys.read",
    "keys.write",
    "users.read",
    "users.write",
    "limits.read",
    "limits.write",
    "ledger.read",
    "ledger.write",
    "traces.read",
    "payloads.read",
    "audit.read",
    "audit.write",
    "secrets.read",
    "secrets.write",
    "privacy.read",
    "privacy.write",
    "jobs.read",
    "jobs.write",
    "config.read",
    "collections.read",
    "collections.write",
    "prompts.read",
    "prompts.write",
    "prompts.protect",
    "datasets.read",
    "datasets.write",
    "evals.read",
    "evals.run",
    "experiments.read",
    "experiments.write",
    "review.read",
    "review.rate",
    "review.write",
]  # fmt: skip

ROLES: tuple[Role, ...] = get_args(Role)
ACTIONS: tuple[Action, ...] = get_args(Action)

#: What each role may do; what is not written here it may not. The page docs/reference/roles.md is
#: made from this.
PERMISSIONS: Mapping[Role, frozenset[Action]] = {
    "owner": frozenset(ACTIONS),
    "admin": frozenset(ACTIONS) - {"secrets.write"},
    "operator": frozenset(
        {
            "tenants.read",
            "keys.read",
            "keys.write",
            "users.read",
            "limits.read",
            "limits.write",
            "ledger.read",
            "traces.read",
            "secrets.read",
            "jobs.read",
            "jobs.write",
            "config.read",
            "collections.read",
            "collections.write",
            "prompts.read",
            "prompts.write",
            "datasets.read",
            "datasets.write",
            "evals.read",
            "evals.run",
            "experiments.read",
            "experiments.write",
            "review.read",
            "review.write",
        }
    ),
    "developer": frozenset(
        {
            "tenants.read",
            "keys.read",
            "limits.read",
            "ledger.read",
            "traces.read",
            "payloads.read",
            "jobs.read",
            "config.read",
            "collections.read",
            "prompts.read",
            "prompts.write",
            "datasets.read",
            "datasets.write",
            "evals.read",
            "evals.run",
            "experiments.read",
            "review.read",
        }
    ),
    "reviewer": frozenset(
        {
            "tenants.read",
            "traces.read",
            "payloads.read",
            "prompts.read",
            "datasets.read",
            "evals.read",
            "review.read",
            "review.rate",
        }
    ),
    "auditor": frozenset(
        {
            "tenants.read",
            "keys.read",
            "users.read",
            "limits.read",
            "ledger.read",
            "traces.read",
            "audit.read",
            "privacy.read",
            "jobs.read",
            "config.read",
            "prompts.read",
            "datasets.read",
            "evals.read",
            "experiments.read",
            "review.read",
        }
    ),
    "viewer": frozenset(
        {
            "tenants.read",
            "limits.read",
            "ledger.read",
            "traces.read",
            "prompts.read",
            "evals.read",
            "experiments.read",
        }
    ),
}


def may(role: Role, action: Action) -> bool:
    """Whether ``role`` may do ``action``, where it is held."""
    return action in PERMISSIONS[role]


def role_named(name: str) -> Role:
    """Return the role that somebody names.

    Raises:
        BadRequest: there is none of that name; the nearest is named.
    """
    if name not in ROLES:
        hint = nearest(name[:64], ROLES)
        raise BadRequest(
            f"There is no role {name[:64]!r}.{hint} Roles: {', '.join(ROLES)}.", param="role"
        )
    return name


class Grant(Struct, frozen=True):
    """A role, over a tenant and what is beneath it or over ``*``."""

    role: Role
    over: TenantId


class Principal(Struct, frozen=True):
    """Who administers: a person, a service account, a key, or the operator at the machine."""

    name: str  # user:usr_…, key:key_…, cli:<user of the system>, system
    origin: str  # from where: an address, cli
    grants: tuple[Grant, ...]
    tree: TenantTree

    @property
    def actor(self) -> Actor:
        """Who an entry of the audit log names for what it does."""
        return Actor(name=self.name, origin=self.origin)

    def may(self, action: Action, tenant: TenantId) -> bool:
        """Whether one of its roles allows ``action`` on ``tenant``, or on everything with ``*``."""
        return any(may(grant.role, action) for grant in self.grants if self._reaches(grant, tenant))

    def require(self, action: Action, tenant: TenantId) -> None:
        """Return when ``action`` on ``tenant`` is allowed; ``*`` is the whole installation.

        A tenant over which no role is held answers like one that does not exist.

        Raises:
            NotFound: no role here, or no such tenant; the two cannot be told apart.
            NotAllowed: a role, but none that allows it.
        """
        if self.may(action, tenant):
            return
        if tenant != EVERYWHERE and not any(self._reaches(grant, tenant) for grant in self.grants):
            raise unknown_tenant(tenant, self.tenants() or ())
        where = "the whole installation" if tenant == EVERYWHERE else f"the tenant '{tenant}'"
        raise _refusal(action, f"over {where}")

    def require_somewhere(self, action: Action) -> None:
        """Return when ``action`` is allowed on at least one tenant.

        Raises:
            NotAllowed: none of its roles allows it.
        """
        if not any(may(grant.role, action) for grant in self.grants):
            raise _refusal(action, "over a tenant")

    def require_grant(self, role: Role, over: TenantId) -> None:
        """Return when it may give or take ``role`` over ``over``: it may do there all that the role may.

        Raises:
            NotFound: no role here, or no such tenant.
            NotAllowed: the role is above its own.
        """
        missing = [action for action in ACTIONS if may(role, action) and not self.may(action, over)]
        if not missing:
            return
        if over != EVERYWHERE and not any(self._reaches(grant, over) for grant in self.grants):
            raise unknown_tenant(over, self.tenants() or ())
        raise NotAllowed(
            f"The role {role} over '{over}' is above your own: it may do {missing[0]}, which you may "
            "not do there. Nobody gives or takes a role above their own.",
            code="role_above_own",
        )

    def tenants(self, action: Action | None = None) -> frozenset[TenantId] | None:
        """Return the tenants on which ``action`` is allowed, or that it sees at all; None: every one."""
        over = {g.over for g in self.grants if action is None or may(g.role, action)}
        return None if EVERYWHERE in over else self.tree.beneath(over)

    def _reaches(self, grant: Grant, tenant: TenantId) -> bool:
        return grant.over == EVERYWHERE or self.tree.is_within(tenant, grant.over)


#: Makes the dependency of an endpoint that does ``action``: it gives the :class:`Principal` who calls
#: and refuses one whose roles allow the action nowhere. The endpoint still asks for the tenant:
#: ``principal: Principal = Depends(authorise("limits.write"))``, then
#: ``principal.require("limits.write", tenant)``.
Authorise: TypeAlias = Callable[[Action], Callable[..., Awaitable[Principal]]]


def unknown_tenant(tenant: str, known: Iterable[TenantId]) -> NotFound:
    """Return the refusal of a tenant that is none of ``known``, the ones its reader may see."""
    return NotFound(
        f"There is no tenant '{tenant[:64]}'.{nearest(tenant[:64], known)} "
        "List them with: santral tenants list",
        param="tenant_id",
    )


def _refusal(action: Action, where: str) -> NotAllowed:
    able = ", ".join(role for role in ROLES if may(role, action))
    return NotAllowed(
        f"This needs a role that may do {action} {where}: {able}. Ask an administrator for one.",
        code="role_missing",
    )
