"""Secrets and payloads at rest: sealed under data keys, which a master key wraps."""
