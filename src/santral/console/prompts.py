"""Pages of prompts: versions, labels and who moved them, two versions beside each other, a trial."""

from __future__ import annotations

import itertools
import json
from typing import Any
from urllib.parse import urlencode

from fastapi import Response

from santral.config.schema import Config
from santral.console.frame import Frame, Visit
from santral.console.pick import pick_tenant, tenant_choices
from santral.errors import BadRequest, RequestError
from santral.prompts.compose import compose
from santral.prompts.diff import Kind
from santral.prompts.label import move_label, remove_label, roll_back
from santral.prompts.library import PromptLibrary, inspect_prompts
from santral.prompts.look import (
    PromptPage,
    compare,
    find_prompt,
    list_prompts,
    log_of,
    show_prompt,
)
from santral.prompts.registry import EVERYBODY
from santral.prompts.version import Variable
from santral.tenants.tenant import TenantId

#: What became of a part of a prompt, as badges name it.
CHANGES: tuple[Kind, ...] = ("added", "removed", "changed")
#: What was done to a prompt, as the log's badges name it.
DEEDS = ("pushed", "deleted", "labelled", "unlabelled", "rolled_back")
#: Entries of the log on one page. Chosen.
_MOST_LOGGED = 200


class PromptPages:
    """The pages over prompts, those of the configured folder and those that tenants registered."""

    def __init__(self, frame: Frame) -> None:
        self._config: Config = frame.config
        frame.show("/prompts", self.list)
        frame.show("/prompts/one", self.one)
        frame.act("/prompts/label", self.label, self.one)
        frame.show("/prompts/diff", self.diff)
        frame.show("/prompts/version", self.version)
        frame.act("/prompts/version", self.version)

    async def list(self, visit: Visit) -> Response:
        """The prompts that one tenant gets."""
        choices = await tenant_choices(visit, "prompts.read")
        tenant = pick_tenant(visit, choices, "prompts.read")
        lines = await list_prompts(visit.engine, self._files(), tenant, by=visit.principal)
        return visit.page(
            "prompts.html",
            choices=choices,
            tenant=tenant,
            lines=[(line, _named(tenant, line.name)) for line in lines],
            everybody=EVERYBODY,
        )

    async def one(self, visit: Visit) -> Response:
        """One prompt: its versions, where its labels point, and who moved them."""
        tenant, name = _asked(visit, "tenant"), _asked(visit, "name")
        page = await show_prompt(visit.engine, self._files(), tenant, name, by=visit.principal)
        log = await log_of(visit.engine, self._files(), tenant, name, by=visit.principal)
        live = [version for version in page.versions if version.deleted_at is None]
        return visit.page(
            "prompt.html",
            tenant=tenant,
            prompt=page,
            here=_named(tenant, name),
            live=live,
            pairs=_pairs([version.version for version in live]),
            log=log[:_MOST_LOGGED],
            everybody=EVERYBODY,
            may_move=_may(visit, page, "prompts.write"),
            may_protect=_may(visit, page, "prompts.protect"),
        )

    async def label(self, visit: Visit) -> Response:
        """Move a label, roll it back, or take it away: as the form says."""
        tenant, name = visit.form("tenant"), visit.form("name")
        owner, label = visit.form("owner"), visit.form("label").strip()
        reason, files = visit.form("reason"), self._files()
        seen = visit.form("expected")
        expected = int(seen) if seen.isdigit() else None
        by, engine = visit.principal, visit.engine
        match visit.form("deed"):
            case "rollback":
                await roll_back(
                    engine, files, owner, name, label, visit.now,
                    by=by, reason=reason, expected=expected,
                )  # fmt: skip
            case "remove":
                await remove_label(
                    engine, files, owner, name, label, visit.now,
                    by=by, reason=reason, expected=expected,
                )  # fmt: skip
            case _:
                await move_label(
                    engine, files, owner, name, label, visit.form("version"), visit.now,
                    by=by, reason=reason, expected=expected,
                )  # fmt: skip
        return visit.done("done_changed", "/prompts/one", tenant=tenant, name=name)

    async def diff(self, visit: Visit) -> Response:
        """Two versions of a prompt beside each other."""
        tenant, name = visit.asked("tenant"), visit.asked("name")
        old, new = visit.asked("old"), visit.asked("new")
        changes = await compare(
            visit.engine, self._files(), tenant, f"{name}@{old}", f"{name}@{new}",
            by=visit.principal,
        )  # fmt: skip
        return visit.page(
            "prompt_diff.html",
            tenant=tenant,
            name=name,
            here=_named(tenant, name),
            old=old,
            new=new,
            changes=changes,
        )

    async def version(self, visit: Visit) -> Response:
        """One version as it is written, and a form to fill it in."""
        tenant, name = _asked(visit, "tenant"), _asked(visit, "name")
        found = await find_prompt(
            visit.engine, self._files(), tenant, name, _asked(visit, "version"), by=visit.principal
        )
        version = found.resolved.version
        typed = {v.name: visit.form(f"var_{v.name}") for v in version.variables.values()}
        messages: list[dict[str, Any]] = []
        if visit.request.method == "POST":
            try:
                messages = compose(version, _values(list(version.variables.values()), typed))
            except RequestError as error:
                visit.trouble = error
        return visit.page(
            "prompt_version.html",
            tenant=tenant,
            here=_named(tenant, name),
            version=version,
            owner=found.owner,
            everybody=EVERYBODY,
            typed=typed,
            schema=_json(version.output_schema) if version.output_schema else "",
            filled=messages,
        )

    def _files(self) -> PromptLibrary:
        return inspect_prompts(self._config.prompts.folder)[0]


def _asked(visit: Visit, name: str) -> str:
    """Return what the form names, or the address."""
    return visit.form(name) or visit.asked(name)


def _named(tenant: str, name: str) -> str:
    return urlencode({"tenant": tenant, "name": name})


def _may(visit: Visit, page: PromptPage, action: Any) -> bool:
    return bool(page.owner) and visit.principal.may(action, TenantId(page.owner))


def _pairs(versions: list[str]) -> dict[str, str]:
    """Return the version before each, where there is one; ``versions`` are the newest first."""
    return dict(itertools.pairwise(versions))


def _values(variables: list[Variable], typed: dict[str, str]) -> dict[str, Any]:
    """Return the values of a form: empty fields stay at their default, lists have an item a line."""
    values: dict[str, Any] = {}
    for variable in variables:
        text = typed[variable.name]
        if text:
            values[variable.name] = _value(variable, text)
    return values


def _value(variable: Variable, text: str) -> Any:
    if variable.type == "string":
        return text
    if variable.type == "strings":
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise BadRequest(
            f"'{variable.name}' is of type {variable.type}: write it as JSON.", param=variable.name
        ) from None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
