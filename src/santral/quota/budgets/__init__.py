"""How fast a budget is spent, when it will be used up, and who is told."""
