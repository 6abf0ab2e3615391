"""Taking traces out of the store for good: what is over its time, and what is one person's."""
