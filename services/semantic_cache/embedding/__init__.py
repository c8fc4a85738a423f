"""Texts to vectors, in batches."""
