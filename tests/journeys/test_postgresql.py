"""The same installation with its control database in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.db.postgres import require_postgres, running_postgres
from tests.journeys.conftest import Santral, wait_until

pytestmark = [pytest.mark.journey, pytest.mark.postgres]


def test_keys_limits_and_ledger_live_in_postgresql(
    own_santral: Callable[..., Santral],
) -> None:
    require_postgres()
    # The server runs as another user, who may not enter the folders that pytest makes.
    with TemporaryDirectory() as folder, running_postgres(Path(folder)) as url:
        more = '[database]\nurl = "env:CONTROL_DATABASE"\n'
        santral = own_santral(more, env={"CONTROL_DATABASE": url})
        status, headers, _ = santral.post(santral.chat("ok"))
        assert status == 200
        assert santral.trace(headers["x-santral-trace-id"])["status"] == 200
        made = santral.admin("/api/keys", {"name": "second"}, "POST")
        wait_until(lambda: santral.post(santral.chat("ok"), key=made["plaintext"])[0] == 200, 4)
        assert not list((santral.folder / "santral-data").glob("*.db"))
        password_free = santral.logs() + "".join(santral.output)
        assert url not in password_free
        santral.stop()
