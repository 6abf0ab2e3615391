"""Counterfactual swaps: the same text about somebody else, in Turkish and English."""
