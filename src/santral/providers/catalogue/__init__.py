"""The models we know: what they can, how much they take, what they cost."""
