"""Shapes of the OpenAI protocol and of what flows between provider and client."""
