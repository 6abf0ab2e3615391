"""What raters do: take an item, say what they think of it, or give it back."""
