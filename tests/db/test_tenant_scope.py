"""Every statement of every store.py: a tenant's table is touched with its ``tenant_id``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import santral
from santral.db.tables import metadata

SOURCE = Path(santral.__file__).parent

OF_TENANTS = {name for name, table in metadata.tables.items() if "tenant_id" in table.columns}

#: Statements over all tenants, and why they may.
ALLOWED = {
    "privacy/store.py:user_rules": "rules of the tenants above count its users, too",
    "prompts/store.py:read_registered": "gateways compose the prompts of every tenant",
    "prompts/store.py:_newest_events": "gateways compose the prompts of every tenant",
    "jobs/store.py:find_job": "a job is named alone; who asks is held against its tenant afterwards",
    "jobs/store.py:list_jobs": "the operator sees every tenant's; others name theirs",
    "jobs/store.py:has_due": "a runner works for every tenant",
    "jobs/store.py:claim_job": "a runner works for every tenant",
    "jobs/store.py:_is_due": "a runner works for every tenant",
    "jobs/store.py:delete_ended": "retention forgets old jobs of every tenant",
    "audit/store.py:entries_after": "the chain is followed row by row, whoever it is about",
    "audit/store.py:links_up_to": "the chain is followed row by row, whoever it is about",
    "audit/store.py:find_entry": "a row is named alone; who asks is held against its tenant afterwards",
    "audit/store.py:find_entries": "the operator sees every tenant's; others name theirs",
    "audit/store.py:count_entries": "the chain is followed row by row, whoever it is about",
    "audit/store.py:known_objects": "what the collector notes for many tenants in one batch is noted once",
    "audit/store.py:latest_about": "an object is named alone, e.g. the configuration's",
    "audit/store.py:first_number_since": "retention cuts one chain for all tenants",
    "audit/store.py:delete_entries": "retention cuts one chain for all tenants",
    "audit/store.py:_restricted": "the operator sees every tenant's; others name theirs",
    "audit/store.py:last_link": "one chain holds the rows of all tenants together",
    "secrets/store.py:keys_wrapped_otherwise": "a new master key wraps the data keys of all tenants",
    "secrets/store.py:count_wrapped_otherwise": "a new master key wraps the data keys of all tenants",
    "audit/store.py:insert_entries": "each row carries the tenant it is about",
    "tenants/store.py:load_keys": "a gateway knows the caller only by the key it looks up there",
    "tenants/store.py:find_by_digest": "a key is known by its text alone, whosever it is",
    "tenants/store.py:owner_keys": "owners of the whole installation are counted over all tenants",
    "tenants/users/store.py:grants_of": "a user's roles are theirs, wherever they are held",
    "tenants/users/store.py:tenants_with_keys": "the question is in which tenants a user has keys",
    "tenants/users/store.py:_every_grant": "the list of users shows who holds which role where; "
    "the caller leaves out what its reader may not see",
    "tenants/store.py:find_keys": "an administrator names a key alone; its id is unique over all",
    "quota/store.py:all_rules": "a gateway holds the limits of every tenant",
    "quota/store.py:find_rule": "an administrator names a limit alone; its id is unique over all",
    "quota/store.py:used_since": "limiters begin with what the ledger says of every tenant",
    "quota/ledger/store.py:insert_rows": "the collector writes the rows of many tenants in one batch; "
    "each row carries its tenant",
    "quota/ledger/store.py:attempts_page": "who operates replays and proves the rows of all tenants",
    "quota/ledger/store.py:rows_between": "who operates proves the rows of all tenants",
    "quota/ledger/store.py:first_s": "where that proof begins",
    "quota/ledger/store.py:used_by_day": "a provider bills the installation, not a tenant",
    "quota/ledger/store.py:used_by": "an invoice sums a tenant and those beneath it",
    "quota/ledger/store.py:tenants_between": "who operates exports the month of every tenant",
    "quota/budgets/store.py:spent_by_hour": "budgets of all tenants are forecast together",
    "quota/budgets/store.py:insert_alerts": "each alert carries its tenant",
    "quota/budgets/store.py:told_since": "limits of all tenants are watched together",
    "quota/budgets/store.py:due_alerts": "alerts of all tenants are sent by one loop",
    "quota/budgets/store.py:list_alerts": "an administrator is shown those of the tenants they may "
    "read, given by their ids",
    "quota/budgets/store.py:save_try": "an alert's id is unique over all tenants",
    "retrieval/sources/store.py:find_source": "a source is named alone; who asks is held against its "
    "tenant afterwards",
    "retrieval/sources/store.py:list_sources": "the operator sees every tenant's; others name theirs",
    "retrieval/sources/store.py:due_sources": "one loop begins the runs of every tenant's sources",
    "evals/drift/store.py:list_monitors": "those of the tenants that somebody may read, by their ids",
    "evals/drift/store.py:due_monitors": "one loop begins the looks of every tenant's monitors",
    "retrieval/sources/store.py:running_sources": "one loop sees the runs of every tenant's sources end",
    "retrieval/sources/store.py:watched_sources": "one loop looks into the folders of every tenant",
    "quota/ledger/store.py:corrections_of": "a request's id is unique over all tenants",
    "retrieval/collections/store.py:list_collections": "a tenant's, or those of all for who operates",
    "experiments/store.py:list_experiments": "a tenant's, or those of all that may meet on a route",
    "experiments/store.py:running_experiments": "workers assign the requests of every tenant",
    "retrieval/collections/store.py:active_versions": "workers search the collections of every tenant",
    "retrieval/collections/store.py:collections_of_deleted": "what deleted tenants left is forgotten",
    "review/store.py:list_queues": "one pass looks through the traces of every tenant's queues",
    "quota/ledger/store.py:count_attempts": "the length of a progress bar over all tenants",
}


class Function(NamedTuple):
    """One function of a store that names a tenant's table."""

    place: str
    node: ast.FunctionDef | ast.AsyncFunctionDef
    tables: frozenset[str]


def functions(path: Path, place: str) -> Iterator[Function]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    known = dict(imported_tables(tree))
    indirect = dict(module_constants(tree, known))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            tables = {known[name] for name in names & known.keys()}
            tables |= {table for name in names & indirect.keys() for table in indirect[name]}
            if tables & OF_TENANTS:
                yield Function(f"{place}:{node.name}", node, frozenset(tables & OF_TENANTS))


def imported_tables(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "santral.db.tables":
            for alias in node.names:
                yield alias.asname or alias.name, alias.name


def module_constants(tree: ast.Module, known: dict[str, str]) -> Iterator[tuple[str, set[str]]]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            if isinstance(target, ast.Name):
                yield target.id, {known[name] for name in names & known.keys()}


def fault(function: Function) -> str | None:
    """Return what is wrong with a function, or ``None``."""
    arguments = [argument.arg for argument in function.node.args.args]
    if arguments[1:2] != ["tenant_id"]:
        return f"{function.place} takes no tenant_id after the connection"
    if not binds(function.node):
        return f"{function.place} does not use tenant_id in its statement on {set(function.tables)}"
    return None


def binds(node: ast.AST) -> bool:
    """Whether ``tenant_id`` is compared with a column, or given as a value, or passed on to another."""
    for part in ast.walk(node):
        if isinstance(part, ast.Compare) and "tenant_id" in ast.unparse(part.left):
            return any(is_argument(c) for c in part.comparators)
        if isinstance(part, ast.keyword) and part.arg == "tenant_id" and is_argument(part.value):
            return True
        if isinstance(part, ast.Dict):
            for key, value in zip(part.keys, part.values, strict=True):
                is_column = isinstance(key, ast.Constant) and key.value == "tenant_id"
                if is_column and is_argument(value):
                    return True
    return False


def is_argument(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "tenant_id"


def every_function() -> list[Function]:
    paths = sorted(SOURCE.rglob("store.py"))
    return [f for path in paths for f in functions(path, path.relative_to(SOURCE).as_posix())]


@pytest.mark.parametrize("function", every_function(), ids=lambda f: f.place)
def test_a_tenants_table_is_touched_with_its_tenant_id(function: Function) -> None:
    if function.place not in ALLOWED:
        assert fault(function) is None


def test_every_exception_is_still_needed() -> None:
    found = {function.place: function for function in every_function()}
    for place in ALLOWED:
        assert place in found, f"{place} is gone: remove its exception"
        assert fault(found[place]) is not None, f"{place} names its tenant: remove its exception"


@pytest.mark.parametrize(
    "body",
    [
        "async def f(conn):\n    return select(ledger)",
        "async def f(conn, tenant_id):\n    return select(ledger)",
        "async def f(conn, tenant_id):\n    return delete(ledger).where(ledger.c.day == tenant_id)",
        "async def f(conn, day, tenant_id):\n    return select(ledger).where(ledger.c.tenant_id == tenant_id)",
        "async def f(conn, tenant_id):\n    return select(ledger).where(ledger.c.tenant_id == 'acme')",
        "COLUMNS = [ledger.c.day]\nasync def f(conn):\n    return select(*COLUMNS)",
    ],
)
def test_a_statement_over_all_tenants_would_be_found(body: str, tmp_path: Path) -> None:
    path = tmp_path / "store.py"
    path.write_text(f"from santral.db.tables import ledger\n{body}\n")
    (function,) = functions(path, "store.py")
    assert fault(function) is not None


def test_a_statement_with_its_tenant_passes(tmp_path: Path) -> None:
    path = tmp_path / "store.py"
    path.write_text(
        "from santral.db.tables import ledger\nasync def f(conn, tenant_id):\n"
        "    return select(ledger).where(ledger.c.tenant_id == tenant_id)\n"
    )
    (function,) = functions(path, "store.py")
    assert fault(function) is None


def test_statements_live_in_stores_alone() -> None:
    outside = [
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if path.name != "store.py"
        and SOURCE / "db" not in path.parents
        and "santral.db.tables" in path.read_text(encoding="utf-8")
    ]
    assert outside == []
