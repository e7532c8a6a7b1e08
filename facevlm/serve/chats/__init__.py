"""OpenAI's chat routes."""
