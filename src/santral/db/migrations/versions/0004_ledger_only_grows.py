"""Rows of the ledger are only ever added, and say by which price they were computed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_REFUSAL = "rows of the ledger are only ever added: correct them by a row of another kind"

#: Every column but ``user_id``, which the erasure of a person's data sets to a pseudonym. A column
#: that comes later is named by a trigger that its migration makes.
_FIXED = (
    "request_id, attempt, kind, tenant_id, key_id, route, deployment, provider, model, day, "
    "occurred_at, input_uncached, cache_read, cache_write, output_text, reasoning, cache_write_1h, "
    "input_audio, input_image, output_audio, output_image, is_estimated, cost_nanousd, "
    "price_version, prompt, tags, occurred_s, price_row, price_variant, unpriced"
)

_ON_SQLITE = tuple(
    f"CREATE TRIGGER ledger_refuses_{name} BEFORE {event} ON ledger "
    f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    for name, event in (("delete", "DELETE"), ("update", f"UPDATE OF {_FIXED}"))
)

_ON_POSTGRESQL = (
    "CREATE FUNCTION ledger_refuses() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}' "
    "USING ERRCODE = 'integrity_constraint_violation'; END $$",
    *(
        f"CREATE TRIGGER ledger_refuses_{name} BEFORE {event} ON ledger "
        f"FOR EACH {each} EXECUTE FUNCTION ledger_refuses()"
        for name, event, each in (
            ("delete", "DELETE", "ROW"),
            ("update", f"UPDATE OF {_FIXED}", "ROW"),
            ("truncate", "TRUNCATE", "STATEMENT"),
        )
    ),
)

_FILL_SECONDS = {
    "sqlite": "UPDATE ledger SET occurred_s = CAST(strftime('%s', occurred_at) AS INTEGER) "
    "WHERE occurred_s = 0",
    "postgresql": "UPDATE ledger SET occurred_s = CAST(EXTRACT(EPOCH FROM occurred_at) AS BIGINT) "
    "WHERE occurred_s = 0",
}


def upgrade() -> None:
    """Add the columns, say which rows have no price, and then close the table for changes."""
    for name in ("price_row", "price_variant"):
        op.add_column("ledger", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("ledger", sa.Column("unpriced", sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE ledger SET unpriced = 1 WHERE cost_nanousd IS NULL")
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    op.execute(_FILL_SECONDS["postgresql" if is_postgresql else "sqlite"])
    for statement in _ON_POSTGRESQL if is_postgresql else _ON_SQLITE:
        op.execute(statement)
