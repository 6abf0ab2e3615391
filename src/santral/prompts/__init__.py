"""Prompts: immutable versions kept as files, labels that point at them, and their composition."""
