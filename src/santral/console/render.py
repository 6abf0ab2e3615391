"""Turns values into pages: templates that escape everything, strict headers, our own static files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from santral.console.words import LANGUAGES, Words, choose_language
from santral.traces.readable import clock_time, visible
from santral.wire.usage import CLASSES

LANGUAGE_COOKIE = "lang"
_YEAR_S = 365 * 24 * 3600
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
#: Nothing but our own files, no inline script or style, no frame around us.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    # Not "no-referrer": with it browsers do not say from which site a form of ours comes.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


#: What the frame of a page shows to who is not signed in.
_UNSIGNED: Mapping[str, object] = {
    "menu": {},
    "form_token": "",
    "trouble": "",
    "done": "",
    "principal": None,
}


class StaticFiles:
    """The console's own files, read once; their address changes with their content."""

    def __init__(self) -> None:
        folder = resources.files("santral.console") / "static"
        self._files = {file.name: file.read_bytes() for file in folder.iterdir()}
        self._versions = {
            name: hashlib.sha256(data).hexdigest()[:12] for name, data in self._files.items()
        }

    def url(self, name: str) -> str:
        return f"/static/{name}?v={self._versions[name]}"

    def answer(self, name: str) -> Response:
        data = self._files.get(name)
        if data is None:
            return Response("Not found\n", 404, HEADERS, "text/plain")
        headers = {**HEADERS, "cache-control": f"public, max-age={_YEAR_S}, immutable"}
        return Response(data, 200, headers, _TYPES[name.rpartition(".")[2]])


class Renderer:
    """Renders templates in the language of the request."""

    def __init__(self, static: StaticFiles) -> None:
        self._environment = Environment(
            loader=PackageLoader("santral.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(  # pyright: ignore[reportUnknownMemberType]
            usage_classes=CLASSES, static=static.url, when=clock_time, languages=LANGUAGES
        )
        filters: dict[str, Callable[[str], str]] = {
            "visible": visible,
            "visible_text": visible_text,
        }
        self._environment.filters.update(filters)  # pyright: ignore[reportUnknownMemberType]

    def page(
        self, request: Request, template: str, status: int = 200, **values: object
    ) -> HTMLResponse:
        """Return ``template`` as an answer that no cache keeps."""
        words = language_of(request)
        html = self._environment.get_template(template).render(
            t=words,
            path=request.url.path,
            query=dict(request.query_params),
            link=_linker(request),
            dur=words.duration,
            usd=words.dollars,
            tok=words.tokens,
            num=words.count,
            share=words.share,
            **{**_UNSIGNED, **values},
        )
        response = HTMLResponse(html, status, {**HEADERS, "cache-control": "no-store"})
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE, words.language, _YEAR_S, httponly=True, samesite="strict"
            )
        return response


def visible_text(text: str) -> str:
    """Return a text of several lines with its tabs, and nothing that turns its direction or hides."""
    return "\t".join(map(visible, text.split("\t")))


def language_of(request: Request) -> Words:
    """Return the words of the language that the reader wants."""
    return Words(
        choose_language(
            request.query_params.get("lang", ""),
            request.cookies.get(LANGUAGE_COOKIE, ""),
            request.headers.get("accept-language", ""),
        )
    )


def _linker(request: Request) -> Any:
    def link(**changes: object) -> str:
        """Return the page's own address with some parameters changed; None takes one away."""
        merged: Mapping[str, object] = {**request.query_params, **changes}
        kept = {key: str(value) for key, value in merged.items() if value not in (None, "")}
        return str(request.url.replace(scheme="", netloc="", fragment="", query=urlencode(kept)))

    return link
