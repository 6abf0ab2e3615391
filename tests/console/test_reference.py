"""The page of the admin API: everything the OpenAPI document says, from nowhere else."""

from __future__ import annotations

import re
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from santral.console.reference import Endpoint, reference
from santral.quota.api import limits_router
from santral.tenants.api import tenants_router
from santral.traces.api import traces_router


def authorise(action: str) -> Any:
    """Stand for what checks an admin key."""

    def authorised(authorization: str = "") -> None:
        """Let everybody in: the endpoints are described, not called."""

    return authorised


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app, nothing = FastAPI(), cast(Any, None)
    for router in (tenants_router, limits_router, traces_router):
        app.include_router(router(nothing, authorise))
    return app.openapi()


def endpoint(document: dict[str, Any], method: str, path: str) -> Endpoint:
    return next(
        e for e in reference(document).endpoints if (e.method, e.path) == (method.upper(), path)
    )


def test_every_endpoint_of_the_document_is_there_once(document: dict[str, Any]) -> None:
    shown = [(e.method.lower(), e.path) for e in reference(document).endpoints]
    assert shown == [(m, path) for path, ways in document["paths"].items() for m in ways]
    assert len({e.anchor for e in reference(document).endpoints}) == len(shown)
    assert all(e.description for e in reference(document).endpoints)


def test_a_body_names_its_fields_with_types_and_meanings(document: dict[str, Any]) -> None:
    body = endpoint(document, "post", "/api/keys").body
    assert body is not None
    fields = {f.name: (f.type.text, f.is_required, f.default) for f in body.fields}
    assert fields["name"] == ("string, length ≤ 1024", True, "")
    assert fields["tenant_id"] == ("string, length ≤ 1024", False, '"default"')
    assert fields["routes"] == ("list of string, length ≤ 1024 | null", False, "")
    assert fields["expires_at"] == ("string (date-time) | null", False, "")
    assert all(f.description for f in body.fields)


def test_parameters_say_where_they_stand_and_within_which_bounds(document: dict[str, Any]) -> None:
    fields = {f.name: f for f in endpoint(document, "get", "/api/traces").parameters}
    assert (fields["limit"].place, fields["limit"].type.text) == ("query", "integer, ≥ 1, ≤ 500")
    assert not {"authorization", "x-api-key"} & set(fields), "the sign-in is said once, above"
    assert endpoint(document, "delete", "/api/keys/{id}").parameters[0].is_required
    for listed in reference(document).endpoints:
        assert all(field.description for field in listed.parameters), listed.path


def test_answers_lead_to_their_objects_and_to_those_within(document: dict[str, Any]) -> None:
    listed = endpoint(document, "get", "/api/keys")
    assert (listed.status, listed.answer and listed.answer.text) == (200, "KeyList")
    assert endpoint(document, "post", "/api/keys").status == 201
    names = [item.name for item in reference(document).objects]
    assert {"KeyList", "KeyBody", "IssuedKeyBody"} <= set(names)
    assert "HTTPValidationError" not in names, "errors have OpenAI's shape, not FastAPI's"


def test_objects_that_hold_themselves_and_types_never_seen_are_no_trouble() -> None:
    node = {"properties": {"next": {"$ref": "#/components/schemas/Node"}, "any": {}}}
    answer = {"schema": {"$ref": "#/components/schemas/Node"}}
    operation = {"responses": {"200": {"content": {"application/json": answer}}}}
    shown = reference(
        {"paths": {"/n": {"get": operation}}, "components": {"schemas": {"Node": node}}}
    )
    assert [(f.name, f.type.text) for f in shown.objects[0].fields] == [
        ("next", "Node"),
        ("any", "any"),
    ]
    assert reference({}).endpoints == ()


def test_the_page_is_open_shows_every_endpoint_and_its_links_lead_somewhere(console: Any) -> None:
    page = httpx.get(f"{console.url}/api/docs").text
    for path in ("/api/tenants", "/api/keys/{id}", "/api/limits"):
        assert path in page
    assert 'href="/sign-in?next=/api/docs"' in page
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets <= set(re.findall(r'id="([^"]+)"', page))
    assert "Yönetim API" in httpx.get(f"{console.url}/api/docs?lang=tr").text
