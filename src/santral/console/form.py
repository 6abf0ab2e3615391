"""Forms: read within a bound, and only when they come from a page of ours."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from fastapi import Request

from santral.errors import BadRequest, NotAllowed

#: Largest form and most fields. Chosen: a key's lists of routes and networks fit many times over.
_MOST_BYTES, _MOST_FIELDS = 64 * 1024, 100

#: The field in which every form of a session proves that it is one of ours.
TOKEN_FIELD = "form_token"  # noqa: S105 - the name of a field


class Given(dict[str, str]):
    """What a form is filled in with; an empty text where nothing was given."""

    def __missing__(self, name: str) -> str:
        return ""


class Form:
    """The fields that a browser sent."""

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        self._fields = fields

    def __call__(self, name: str) -> str:
        """Return the last value of a field, without blanks around it; empty where it is missing."""
        return self._fields.get(name, [""])[-1].strip()

    def every(self, name: str) -> list[str]:
        """Return every value of a field, and every line of each."""
        lines = [line.strip() for text in self._fields.get(name, ()) for line in text.splitlines()]
        return [line for line in lines if line]

    def optional(self, name: str) -> str | None:
        return self(name) or None

    def number(self, name: str) -> float | None:
        """Return a number as people write it, or None where the field is empty.

        Raises:
            BadRequest: it is none.
        """
        text = self(name).replace("_", "").replace(" ", "")
        if not text:
            return None
        try:
            return float(text.replace(",", ".") if "." not in text else text.replace(",", ""))
        except ValueError:
            raise BadRequest(f"'{text[:40]}' is not a number.", param=name) from None

    def given(self) -> Given:
        """Return the fields, to fill the form in again."""
        return Given((name, values[-1]) for name, values in self._fields.items())


async def read_form(request: Request) -> Form:
    """Return the fields of a form.

    Raises:
        BadRequest: it is larger than any form of ours.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise BadRequest("The form is larger than any of this console. Send less.")
    try:
        fields = parse_qs(
            body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise BadRequest("The form has more fields than any of this console.") from None
    return Form(fields)


def require_same_site(request: Request) -> None:
    """Return when a form comes from a page of this console, as far as the browser tells.

    Raises:
        NotAllowed: it comes from another site.
    """
    # A proxy may change the name of the host; what the browser says of the site it cannot.
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "")
    is_same_host = not origin or urlsplit(origin).netloc == request.headers.get("host", "")
    if not (site in ("same-origin", "none") if site is not None else is_same_host):
        raise NotAllowed(
            "This form was sent from another site. Use the page of the console itself.",
            code="foreign_form",
        )


def require_token(form: Form, token: str) -> None:
    """Return when a form carries the word of its session.

    Raises:
        NotAllowed: it carries none, or another one.
    """
    if not hmac.compare_digest(form(TOKEN_FIELD).encode(), token.encode()):
        raise NotAllowed(
            "This form does not belong to your session: the page is older than your last sign-in, or "
            "another site sent it. Open the page again.",
            code="foreign_form",
        )
