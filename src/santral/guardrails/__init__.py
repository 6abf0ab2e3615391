"""Policies, checks and verdicts: what may be said to a model and what it may say."""
