"""What every client script does: read a question a line, ask Santral, say a line of JSON back.

The journey that started the script sets ``GATEWAY`` and ``KEY``. What a client raises goes back as
its class, its words and the status it saw: that is what an application would have to work with.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

GATEWAY = os.environ["GATEWAY"]
KEY = os.environ["KEY"]

#: What the tools of every client answer, whatever they are asked.
RESULTS = {"weather": "sunny", "get_weather": "sunny", "time": "12:00"}


def serve(cases: dict[str, Callable[..., Any]]) -> None:
    """Answer the questions on standard input until it ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries print advice: it must not get between the answers
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            said: dict[str, Any] = {"answer": cases[asked["case"]](**asked["with"])}
        except Exception as error:
            said = {"error": described(error)}
        print(json.dumps(said), file=out, flush=True)


def described(error: Exception) -> dict[str, Any]:
    """Return what an application sees of an error, or of the one it was made from."""
    found = error
    while status_of(found) is None and isinstance(found.__cause__, Exception):
        found = found.__cause__
    return {
        "kinds": [kind.__name__ for kind in type(error).__mro__],
        "message": str(error),
        "status": status_of(found),
    }


def status_of(error: Exception) -> int | None:
    return getattr(error, "status_code", None)
