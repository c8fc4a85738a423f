"""Exact and semantic reuse of answers; also hosts the embedding model."""
