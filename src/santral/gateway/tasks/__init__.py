"""Requests that are no conversations: one body in, one body out."""
