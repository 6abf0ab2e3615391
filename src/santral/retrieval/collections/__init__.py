"""Collections: made, changed, rebuilt beside themselves, switched, deleted."""
