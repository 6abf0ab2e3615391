"""Brings a configuration over from LiteLLM."""
