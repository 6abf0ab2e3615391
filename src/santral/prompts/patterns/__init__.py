"""The pattern catalogue: prompts for common work, in English and Turkish, ready to copy."""
