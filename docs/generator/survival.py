"""docs/reference/what-survives.md: what a fault costs, and the test that shows it."""

from __future__ import annotations

from generator.markdown import page, table
from generator.survival_table import COMPONENTS, ROWS, Row

INTRO = """\
What is lost and what is refused when a part fails. *Lost* is said of what Santral had acknowledged: a
record in the spool, a row in the ledger, a trace in the store. *Refused* is said of what is asked while
the fault lasts. Nothing that was settled is lost to the death of any process at any moment: the tests
kill them before every call that writes, and in the middle of every write."""

EQUATION = """\
The account holds at every look, and `/metrics` of both processes shows it:

- of a worker, `santral_spool_received_total` = `santral_spool_spooled_total` +
  `santral_spool_dropped_total`,
- of the collector, `santral_collector_records_total` by state: received = stored + rejected + duplicate,
  with `santral_collector_waiting` for what is still spooled.

A dropped record is a request that was answered and appears in no ledger. Alert on
`santral_spool_dropped_total`, `santral_collector_unbilled_total` and `santral_collector_oldest_seconds`."""

NOTES = """\
- **The spool is kept for the bound, not for a time.** At 2 kB a record the default of 256 MiB holds
  130,000 requests. Set `telemetry.spool_max_bytes` to what a long outage of your database needs.
- **`spool_fsync`** costs a wait for the disk for each record, on the worker's event loop: 0.25 ms on a
  local NVMe disk, 10 ms on a rotating one. Without it the death of processes loses nothing, a power cut
  the last seconds.
- **PostgreSQL keeps what it says it committed** as long as `synchronous_commit` is on, as it is by
  default.
- **A worker's name has its machine's in it.** Where that changes with every start, as in containers, give
  the container a fixed host name: segments under an old name are collected, and do not count for the
  bound of the new one.
- A last row without a test is a statement about machines, not about Santral."""


def survival_page() -> str:
    """Return the page."""
    head = ("Fault", "What is lost", "What is refused", "What happens", "Shown by")
    parts = [
        f"## {component[0].upper()}{component[1:]}\n\n"
        + table(head, [_cells(row) for row in ROWS if row.component == component])
        for component in COMPONENTS
    ]
    return page("What survives", INTRO, *parts, "## The account", EQUATION, "## Notes", NOTES)


def _cells(row: Row) -> tuple[str, ...]:
    tests = "<br>".join(f"`{test.rpartition('::')[2]}`" for test in row.tests)
    return (row.fault, row.lost, row.refused, row.then, tests)
