"""docs/reference/faults.md: what a fault of a provider does to a caller."""

from __future__ import annotations

from generator.fault_table import FAULTS, Fault
from generator.markdown import page, table

INTRO = """\
A scripted provider commits each fault once over real sockets, and a test holds what happens against
this page. The route has one deployment with the default of one retry, and clocks of 0.4 s to the
first delta, 0.4 s between deltas and 1.4 s in all; its longest pause (`max_backoff_s`) is 1.2 s, so
that hints of 1.5 s and more are told to the caller. "With another" is the same route with a second
rung whose deployment is well."""

NOTES = """\
- **Nothing is tried again after content.** A stream that has begun ends with an error event in the
  caller's dialect. A whole answer is held until it is complete, so there a fault in the middle is
  replaced like any other.
- **A breaker opens** after three failures that are at least half of the last twenty calls, at once
  for a refused key, and for as long as a hint to wait says. What the request itself caused (400,
  404, 422, context window, content policy) opens none.
- **Billed** are the failed attempts: a provider that produced nothing before it failed is taken to
  have billed nothing; else the input and what came are estimated and marked so.
- Three failed calls without an answer in between give the state in the last column; it is empty
  where the provider answered some of them."""


def faults_page() -> str:
    """Return the page."""
    head = (
        "The provider",
        "A whole answer",
        "A stream",
        "Attempts of the stream",
        "With another",
        "Failed attempts are billed",
        "Breaker after three calls",
    )
    return page("Faults", INTRO, table(head, [_row(fault) for fault in FAULTS]), NOTES)


def _row(fault: Fault) -> tuple[str, ...]:
    return (
        fault.does,
        fault.whole,
        fault.stream,
        fault.attempts,
        fault.other,
        fault.billed,
        fault.breaker,
    )
