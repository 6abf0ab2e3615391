"""A chat request as typed blocks, for dialects that are no chat."""
