"""The four golden signals: latency, cost, quality, safety, over one window with one set of rules."""
