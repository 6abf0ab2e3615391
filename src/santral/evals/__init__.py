"""Evals: data sets, runs over them, evaluators and judges, and the verdict about a change."""
