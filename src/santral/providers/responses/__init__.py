"""OpenAI's Responses, spoken to providers."""
