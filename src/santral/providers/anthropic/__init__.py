"""Anthropic's Messages, spoken to its models."""
