"""Conversation history, and the part of it that is worth a model's attention."""
