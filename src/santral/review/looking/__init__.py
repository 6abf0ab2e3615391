"""Looks through traces for what the rules of queues mean."""
