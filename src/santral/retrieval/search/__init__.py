"""Search: a question becomes passages."""
