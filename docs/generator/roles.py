"""docs/reference/roles.md from the table of permissions and the scopes of keys."""

from __future__ import annotations

from typing import get_args

from generator.markdown import code, page, table
from santral.tenants.permission import ACTIONS, ROLES, Action, may
from santral.tenants.scope import SCOPES

INTRO = """\
A role is held by a user or by a virtual key, over a tenant and everything beneath it, or over `*`, the
whole installation. A tenant outside of that answers as one that does not exist.

Nobody gives, takes or changes a role that may do more than their own there; rotating or revoking a key
with a role counts as taking it. Switching, moving and deleting a tenant is for those who stand above it.
The last owner over `*` cannot be ended by anybody. Whoever may run commands on the machine is owner over
everything."""

SCOPES_INTRO = """\
Scopes bound what a virtual key may ask the gateway for; a key without scopes may ask for everything."""

#: What each action is, in words.
MEANING: dict[Action, str] = {
    "tenants.read": "See tenants and their tree",
    "tenants.write": "Make, rename, move, switch and delete tenants; set what is kept of them",
    "keys.read": "See virtual keys (never their text)",
    "keys.write": "Issue, change, rotate and revoke virtual keys",
    "users.read": "See users and their roles",
    "users.write": "Make users, switch them, give and take roles",
    "limits.read": "See limits, budgets and what of them is used",
    "limits.write": "Set limits and budgets",
    "ledger.read": "See, verify and export what was spent",
    "ledger.write": "Reprice and reconcile",
    "traces.read": "See traces and signals, without what was said",
    "payloads.read": "Read what was said: prompts and answers",
    "audit.read": "Read, verify and export the audit log",
    "audit.write": "Cut the audit log to its retention",
    "secrets.read": "See the names of stored provider keys",
    "secrets.write": "Store and rotate provider keys",
    "privacy.read": "See erasures, exports and their proofs",
    "privacy.write": "Erase and export the data of a person or tenant",
    "jobs.read": "See background jobs",
    "jobs.write": "Cancel background jobs",
    "config.read": "See the configuration in force",
    "collections.read": "See and search collections with their documents, of every group",
    "collections.write": "Make, fill, rebuild and delete collections",
    "prompts.read": "See prompts that a tenant gets, their versions, labels and log",
    "prompts.write": "Push and delete versions, move labels that are not protected",
    "prompts.protect": "Protect labels, and move protected ones",
    "datasets.read": "See data sets, their examples, versions and cards",
    "datasets.write": "Make, change, import, commit and delete data sets",
    "evals.read": "See evaluations, their answers and comparisons, judges and monitors",
    "evals.run": "Run and delete evaluations, which spends money; prove judges; keep monitors",
    "experiments.read": "See experiments and what may be concluded of them",
    "experiments.write": "Make, start, widen, pause, stop and decide experiments",
    "review.rate": "Take, rate and give back what waits in queues of review",
    "review.read": "See queues of review, their ratings and agreement",
    "review.write": "Make and change queues, adjudicate, export, decide held answers",
}


def roles_page() -> str:
    """Return the page."""
    if missing := set(get_args(Action)) ^ set(MEANING):
        raise SystemExit(f"docs/generator/roles.py: say what {', '.join(sorted(missing))} means")
    rows = [
        (code(action), MEANING[action], *("yes" if may(role, action) else "" for role in ROLES))
        for action in ACTIONS
    ]
    scopes = [(code(name), endpoints) for name, endpoints in SCOPES.items()]
    return page(
        "Roles",
        INTRO,
        table(("Action", "What it is", *ROLES), rows),
        "## Scopes of keys",
        SCOPES_INTRO,
        table(("Scope", "Endpoints"), scopes),
    )
