"""Reading: bytes of any format become a document of blocks, or a reason why they do not."""
