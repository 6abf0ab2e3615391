"""The person a job is about, and what makes a thing theirs.

A request is a person's own when it names them as its user, or names nobody and stands in a session
that is theirs alone. Other people's requests may mention them: a mention is taken out of the text
around it, and never exported, since the text is somebody else's.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, cast

import msgspec
from msgspec import Struct

from santral.errors import BadRequest
from santral.gateway.stages.trace import MAX_NAME

#: What stands where a mention was.
ERASED_TEXT = "[erased]"
#: The shortest text that is looked for: a shorter one is part of other people's words. Chosen.
LEAST_TEXT = 4

_encode = msgspec.json.Encoder().encode


class Subject(Struct, frozen=True, kw_only=True):
    """Whom a job is about: the id that the application gives them, sessions, literal texts."""

    user: str = ""
    sessions: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def owns(self, user: str, session: str) -> bool:
        """Whether a request that names ``user`` and ``session`` is this person's own."""
        if user:
            return user == self.user
        return bool(session) and session in self.sessions

    def fingerprint(self, tenant_id: str, salt: str) -> str:
        """Return the SHA-256 by which a proof names the person, without naming them.

        Over salt, tenant and everything by which the person was looked for, as JSON.
        """
        said = [salt, tenant_id, self.user, sorted(self.sessions), sorted(self.texts)]
        return hashlib.sha256(_encode(said)).hexdigest()


def subject_of(user: str, sessions: list[str], texts: list[str]) -> Subject:
    """Return whom these words mean.

    Raises:
        BadRequest: nobody, or a text so short that it is part of other words.
    """
    if not user and not sessions and not texts:
        raise BadRequest("Say whom: a user's id, a session, or a text such as an e-mail address.")
    for text in texts:
        if len(text.strip()) < LEAST_TEXT:
            raise BadRequest(
                f"A text has at least {LEAST_TEXT} characters: a shorter one is part of other "
                "people's words.",
                param="texts",
            )
    return Subject(
        user=user[:MAX_NAME],
        sessions=tuple(dict.fromkeys(session[:MAX_NAME] for session in sessions if session)),
        texts=tuple(dict.fromkeys(text.strip() for text in texts)),
    )


class Mentions:
    """Finds and takes out the literal texts of a subject, whatever case they are written in."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        written = {form for text in texts for form in (text, _escaped(text))}
        longest_first = sorted(written, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
        self._has_texts = bool(texts)

    def __bool__(self) -> bool:
        return self._has_texts

    def are_in(self, text: str) -> bool:
        """Whether a plain text mentions the person."""
        return self._has_texts and self._pattern.search(text) is not None

    def without(self, text: str) -> str:
        """Return a plain text without them."""
        return self._pattern.sub(ERASED_TEXT, text) if self._has_texts else text

    def without_in_json(self, text: str) -> str:
        """Return JSON without them, however its strings are escaped; also JSON that was cut short."""
        if not self._has_texts:
            return text
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return self.without(text)
        changed = self._without(value)
        return text if changed == value else _encode(changed).decode()

    def _without(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.without(value)
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            return {self.without(name): self._without(item) for name, item in fields.items()}
        if isinstance(value, list):
            return [self._without(item) for item in cast("list[Any]", value)]
        return value


def _escaped(text: str) -> str:
    """Return a text as JSON writes it in ASCII, without the quotes around it."""
    return json.dumps(text)[1:-1]
