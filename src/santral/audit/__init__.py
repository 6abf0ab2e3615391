"""The audit log: who did what to what, in rows that a chain of hashes holds together."""
