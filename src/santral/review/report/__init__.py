"""What raters said, summed up: how far they agree, and what it says of all traffic."""
