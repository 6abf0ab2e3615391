"""Human review: which traces people look at, what they say, and how far they agree."""
