"""Limits, alerts about them, and the ledger."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from santral.db.tables.shape import Instant, metadata

limit_rules = Table(
    "limit_rules",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(128), nullable=False),  # whose rule; ``*``: the installation's
    Column("scope_kind", String(16), nullable=False),
    Column("scope_id", String(256), nullable=False),  # ``*``: each one for itself
    Column("measure", String(16), nullable=False),
    Column("window", String(16), nullable=False),  # empty for what is held at once
    Column("is_rolling", Boolean, nullable=False),
    Column("amount", BigInteger),  # requests, tokens, nano-USD
    Column("rate", Float),  # requests in a second, which may be less than one
    Column("burst", Integer),
    Column("time_zone", String(64), nullable=False),  # where a calendar window begins
    Column("wait_s", Float, nullable=False),
    Column("fall_to", String(128)),  # the deployment that answers when it is used up
    Column("warn_at", JSON, nullable=False),  # list of fractions
    Column("webhook", Text),
    Column("uncoordinated", String(16), nullable=False),  # share, refuse, allow
    Column("is_dry_run", Boolean, nullable=False),
    Column("updated_at", Instant, nullable=False),
    CheckConstraint(
        "scope_kind IN ('tenant', 'key', 'user', 'route', 'model', 'tag')", name="scope_kind"
    ),
    CheckConstraint("measure IN ('requests', 'tokens', 'concurrent', 'usd')", name="measure"),
    CheckConstraint("(amount IS NULL) <> (rate IS NULL)", name="amount_or_rate"),
    UniqueConstraint(
        "tenant_id",
        "scope_kind",
        "scope_id",
        "measure",
        "window",
        "is_rolling",
        name="uq_limit_rules_rule",
    ),
)

# What was said about a limit, once for each of its windows.
alerts = Table(
    "alerts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant_id", String(128), nullable=False, index=True),
    Column("limit_id", String(64), nullable=False),
    Column("scope_id", String(256), nullable=False),
    Column("window_start", Instant, nullable=False),
    Column("kind", String(32), nullable=False),  # warned at 0.8, forecast, spent
    Column("body", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("delivered_at", Instant),
    Column("next_try_at", Instant),
    Column("tries", Integer, nullable=False),
    Column("error", Text, nullable=False),
    UniqueConstraint("limit_id", "scope_id", "window_start", "kind", name="uq_alerts_once"),
)

# No foreign keys and no lengths: what was spent outlives the tenant, the key and the deployment, and
# one odd name must not keep a whole batch out. Triggers refuse every change of a row but that of its
# user_id (migration 0004): what was spent is corrected by further rows.
ledger = Table(
    "ledger",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("day", Date, nullable=False),  # UTC day on which the request began
    Column("occurred_at", Instant, nullable=False),
    Column("input_uncached", BigInteger, nullable=False),
    Column("cache_read", BigInteger, nullable=False),
    Column("cache_write", BigInteger, nullable=False),
    Column("output_text", BigInteger, nullable=False),
    Column("reasoning", BigInteger, nullable=False),
    *(
        Column(name, BigInteger, nullable=False, server_default="0")
        for name in (
            "cache_write_1h",
            "input_audio",
            "input_image",
            "output_audio",
            "output_image",
        )
    ),
    Column("is_estimated", Boolean, nullable=False),
    Column("cost_nanousd", BigInteger),  # null: the price is unknown, which is not zero
    Column("price_version", Text, nullable=False),
    Column("user_id", Text, nullable=False, server_default=""),
    Column("prompt", Text, nullable=False, server_default=""),  # name@version
    Column("tags", JSON, nullable=False, server_default="{}"),
    Column("occurred_s", BigInteger, nullable=False, server_default="0"),  # seconds since 1970
    Column("price_row", Text, nullable=False, server_default=""),  # empty: the model's own
    Column("price_variant", Text, nullable=False, server_default=""),  # batch, flex, priority, fast
    # 1: the price is unknown; -1: a correction that gives it. The sum tells how many have none.
    Column("unpriced", Integer, nullable=False, server_default="0"),
    Index("ix_ledger_tenant_id_occurred_s", "tenant_id", "occurred_s"),
    Index("ix_ledger_occurred_s", "occurred_s"),
    Index("ix_ledger_day_tenant_id", "day", "tenant_id"),
    Index("ix_ledger_tenant_id_day", "tenant_id", "day"),
)
