"""Bias: whether who a question is about, or how it is said, changes what is answered."""
