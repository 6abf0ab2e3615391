"""No table that names somebody is forgotten: a new one needs a place, or a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from tests.privacy.conftest import Installation

from santral.db.tables import metadata
from santral.privacy.registry import NO_PLACE, places_of
from santral.secrets.pseudonym import Pseudonyms
from santral.traces.rows import TABLES
from santral.traces.scores.store import COLUMNS

pytestmark = pytest.mark.anyio

TELEMETRY = {**TABLES, "scores": COLUMNS}

#: Words of which one in a column's name says that it may hold a person or what they said.
TELLING = (
    "user", "email", "session", "subject", "person", "scope_id", "request", "response", "payload",
    "text", "arguments", "question", "answer", "comment", "tags", "before", "after",
)  # fmt: skip
#: Columns with such a name that hold neither.
HARMLESS = {
    "database.ledger.request_id": "an id of ours",
    "telemetry.traces.request_id": "an id of ours",
    "telemetry.traces.response_id": "an id that is given out",
    "database.virtual_keys.user_id": "see NO_PLACE",
    "database.chunks.text": "see the place documents",
    "database.tenants.payloads": "a policy",
}


def tables_that_tell() -> set[str]:
    columns = [
        *(f"database.{t.name}.{c.name}" for t in metadata.tables.values() for c in t.columns),
        *(f"telemetry.{t}.{name}" for t, columns in TELEMETRY.items() for name, _ in columns),
    ]
    return {
        column.rpartition(".")[0]
        for column in columns
        if column not in HARMLESS and any(word in column.rpartition(".")[2] for word in TELLING)
    }


def places() -> list[Any]:
    nothing = cast("Any", None)
    return list(places_of(Path(), nothing, nothing, nothing, None, None, nothing, nothing))


def test_every_table_that_may_name_somebody_has_a_place_or_a_reason() -> None:
    placed = {table for place in places() for table in place.tables}
    forgotten = tables_that_tell() - placed - set(NO_PLACE)
    assert forgotten == set(), "give these tables a place in privacy/registry.py"


def test_a_new_table_with_a_user_would_be_found() -> None:
    assert "telemetry.traces" in tables_that_tell()
    assert "database.ledger" in tables_that_tell()
    assert {"database.users", "database.audit_log", "database.jobs"} <= tables_that_tell() | set(
        NO_PLACE
    )


def test_every_reason_is_still_about_a_table() -> None:
    known = {f"database.{name}" for name in metadata.tables}
    assert set(NO_PLACE) <= known
    for place in places():
        for table in place.tables:
            assert table in known or table.removeprefix("telemetry.") in TELEMETRY


def test_places_have_names_of_their_own_and_say_what_becomes_of_things() -> None:
    names = [place.name for place in places()]
    assert len(set(names)) == len(names)
    assert all(len(place.about) > 30 for place in places())
    assert names[0] == "files", "a batch under way stops an erasure before it has changed anything"
    assert names[-1] == "traces", "traces say which sessions are the person's"


async def test_the_installations_key_is_made_once_by_however_many(
    installation: Installation,
) -> None:
    hashes = {Pseudonyms(installation.config).of_text("acme", "x") for _ in range(3)}
    assert len(hashes) == 1
