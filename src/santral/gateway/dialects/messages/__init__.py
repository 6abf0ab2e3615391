"""Anthropic's Messages towards callers."""
