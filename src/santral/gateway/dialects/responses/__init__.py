"""OpenAI's Responses towards callers."""
