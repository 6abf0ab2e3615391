"""What the ledger's commands print, as lines and cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from santral.quota.ledger.entry import Used
from santral.quota.ledger.reconcile.compare import Difference
from santral.quota.ledger.reprice import Repriced
from santral.quota.ledger.showback import Invoice, Part, usd
from santral.quota.ledger.verify import Verified

COMPARED = ("day", "model", "what", "ledger", "provider", "difference", "percent", "", "estimated")


def verified_lines(done: Verified) -> Iterator[str]:
    """Yield what a proof found, for people."""
    yield (
        f"{done.rows} rows, {done.attempts} attempts in traces, {done.corrections} corrections: "
        f"{done.disagreements} disagreements."
    )
    if done.outlived:
        yield f"{done.outlived} rows have outlived their trace, by retention or erasure."
    for version, rows in sorted(done.unproved.items()):
        yield (
            f"Not proved: {rows} rows priced by '{version}', of which no copy is kept. Give it with "
            "--price-file."
        )
    if done.is_proved:
        yield "Everything agrees."


def repriced_rows(done: Iterable[Repriced]) -> Iterator[Sequence[str]]:
    """Yield the cells of each tenant's line."""
    for one in done:
        yield (
            one.tenant_id,
            str(one.rows),
            str(one.corrected),
            str(one.became_known),
            str(one.unknown),
            usd(one.before_nanousd),
            usd(one.after_nanousd),
            usd(one.after_nanousd - one.before_nanousd),
        )


def compared_rows(differences: Iterable[Difference]) -> Iterator[Sequence[str]]:
    """Yield the cells of each difference."""
    for one in differences:
        percent = "" if one.percent is None else f"{one.percent:+.3f} %"
        yield (
            one.day.isoformat(),
            one.model or "(all)",
            one.measure,
            _plain(one.ours),
            _plain(one.theirs),
            _plain(one.difference),
            percent,
            "" if one.is_tolerated else "differs",
            str(one.estimated),
        )


def invoice_lines(made: Invoice) -> Iterator[str]:
    """Yield an invoice as text: each tenant with its lines and their sum, then the sum of all."""
    yield f"Invoice of {made.tenant_id} for {made.month} (UTC days), US dollars"
    for part in made.parts:
        yield ""
        yield from _part_lines(part)
    yield ""
    if len(made.parts) > 1:
        yield f"Total of {made.tenant_id} and what is beneath it: {usd(made.total.cost_nanousd)}"
    if made.total.unpriced:
        yield (
            f"{made.total.unpriced} attempts have no known price and are not in these sums: see "
            "santral ledger reprice."
        )


def _part_lines(part: Part) -> Iterator[str]:
    names = [line.name for line in part.lines]
    width = max(map(len, [*names, "total"]))
    yield part.tenant_id
    for line in part.lines:
        yield _line(line.name, line.used, width)
    yield _line("total", part.total, width)


def _line(name: str, used: Used, width: int) -> str:
    corrected = f"  (corrected by {usd(used.corrected_nanousd)})" if used.corrected_nanousd else ""
    return (
        f"  {name:<{width}}  {used.attempts:>9} attempts  {used.input_tokens:>13} in  "
        f"{used.output_tokens:>13} out  {usd(used.cost_nanousd):>20}{corrected}"
    )


def _plain(number: Decimal) -> str:
    return f"{number:f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:f}"
