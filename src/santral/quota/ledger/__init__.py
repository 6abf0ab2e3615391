"""The ledger: what was spent, as rows that are only ever added, and what is derived from them."""
