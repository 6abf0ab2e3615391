"""Verdicts: what two runs say about a change, in tiers that a gate can act on."""
