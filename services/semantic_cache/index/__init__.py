"""The vectors of a scope's questions, and who is near to whom."""
