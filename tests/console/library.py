"""A console over a small handbook that was really ingested, with what must never run in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.console.conftest import HOSTILE, RunningConsole

from santral.app.ingesting import workplace
from santral.retrieval.ingest.ingest import Delivery, ingest
from santral.retrieval.ingest.paths import PathsSource
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant

FILES = {
    "leave.md": "# Leave\n\nAnnual leave is 20 days. Ask your manager two weeks before.\n",
    "travel.md": "# Travel\n\nTrains are booked by the office. Taxis need a receipt.\n",
    "izin.md": "# Yıllık izin\n\nYıllık izin 20 gündür. Yöneticinize iki hafta önce haber verin.\n",
    "secret.md": "---\nallowed_groups: [hr]\n---\n# Salaries\n\nSalaries are reviewed in March.\n",
    "hostile.md": f"# Hostile {HOSTILE}\n\nThe hostile page says {HOSTILE} and nothing else.\n",
    "broken.pdf": "this is no PDF",
}


def start(folder: Path) -> RunningConsole:
    """Return a running console that searches acme's collection ``docs``."""
    files = folder / "files"
    files.mkdir(parents=True)
    for name, content in FILES.items():
        (files / name).write_text(content, encoding="utf-8")

    def settings(url: str) -> dict[str, Any]:
        return {
            "data": {"folder": str(folder / "data")},
            "collections": {"docs": {"dimensions": 16, "description": f"Handbook {HOSTILE}"}},
        }

    running = RunningConsole(folder, settings=settings, is_searching=True)

    async def fill() -> None:
        await create_tenant(running.engine, "acme", None, now(), by=local_operator())
        async with workplace(running.config, running.engine) as work:
            delivery = Delivery(PathsSource([files], [], 1_000_000), has_sidecars=True)
            await ingest(work, "acme", "docs", [delivery])
        assert running.retrieval is not None
        await running.retrieval.library.refresh()

    running.do(fill())
    return running


async def update(running: RunningConsole) -> None:
    """Build what is to be built, as the next ingest does."""
    async with workplace(running.config, running.engine) as work:
        await ingest(work, "acme", "docs")
    assert running.retrieval is not None
    await running.retrieval.library.refresh()


def now() -> datetime:
    return datetime.now(UTC)
