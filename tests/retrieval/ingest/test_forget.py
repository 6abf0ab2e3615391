"""What a deleted tenant leaves: no row, no index, and nothing that an erasure does not see."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.retrieval.ingest.place import NOW, Place

from santral.db.engine import reading
from santral.jobs.job import Hold
from santral.privacy.places.database import Documents
from santral.privacy.subject import subject_of
from santral.retrieval.collections import store as kept
from santral.retrieval.collections.dropping import dropping
from santral.retrieval.collections.forget import ForgetArguments, Forgetting
from santral.tenants.operator import local_operator
from santral.tenants.organise import delete_tenant
from santral.tenants.tenant import TenantId

pytestmark = pytest.mark.anyio

CANARY = "zanzibarkanarya"


class _Hold:
    async def report(self, *told: Any) -> None:
        pass


async def test_a_deleted_tenants_collections_are_forgotten(place: Place) -> None:
    place.write("a.md", f"# A\n\nThe word is {CANARY}.\n")
    await place.ingest()
    hold: Hold = _Hold()  # type: ignore[assignment]
    work = Forgetting(place.work.engine, dropping(place.config))
    assert await work(hold, ForgetArguments()) == {"collections": 0}
    await delete_tenant(place.work.engine, "acme", NOW, by=local_operator(), is_forced=True)
    assert await work(hold, ForgetArguments()) == {"collections": 1}
    assert await place.documents() == []
    async with reading(place.work.engine) as conn:
        assert await kept.list_versions(conn, "acme", "docs") == []
    index = place.config.data.folder / "index"
    assert not [path for path in index.rglob("*") if path.suffix == ".segment"]


async def test_an_erasure_sees_documents_that_are_in_no_index(place: Place) -> None:
    place.write("a.md", f"---\nexpires_at: 2026-11-23\n---\n# A\n\nWrite to {CANARY}.\n")
    await place.ingest()
    place.clock.now = NOW + timedelta(days=3)
    await place.update()
    found = await Documents(place.work.engine).find(
        TenantId("acme"), subject_of("", [], [CANARY.upper()])
    )
    assert found.left == ("document files/a.md in docs: edit it and ingest it anew",)
