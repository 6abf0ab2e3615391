"""Calibration: judges are held against people, and what that shows is kept by the judge's digest."""
