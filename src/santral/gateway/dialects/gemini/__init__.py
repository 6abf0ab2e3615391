"""Gemini's protocol towards callers."""
