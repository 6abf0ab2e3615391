"""Limit, budget, ledger: reserve before the call, settle after it."""
