"""The model router: which model answers, with which key, at what price."""
