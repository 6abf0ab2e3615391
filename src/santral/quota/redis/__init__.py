"""Limits in Redis or Valkey: one round trip for each decision, one truth for all workers."""
