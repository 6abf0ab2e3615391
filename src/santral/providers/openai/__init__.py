"""OpenAI's chat completions, and the quirks of everybody who imitates them."""
