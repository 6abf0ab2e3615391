"""Whether two questions mean the same: vectors that find candidates, gates that refuse most of them."""
