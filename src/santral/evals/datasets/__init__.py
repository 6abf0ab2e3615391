"""Data sets: examples with every state they were ever in, and versions that never change."""
