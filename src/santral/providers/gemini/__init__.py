"""Google's Gemini, at AI Studio and Vertex AI."""
