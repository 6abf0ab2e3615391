"""Scores: how good one trace was, said by users, reviewers, judges, code and guardrails."""
