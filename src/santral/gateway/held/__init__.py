"""Answers that wait for a reviewer: kept here, decided from above, fetched by who asked."""
