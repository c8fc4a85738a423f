"""Which endpoint gets the next attempt: one policy per module."""
