"""Refuses a candidate whose question differs in what embeddings do not see."""

from services.semantic_cache.guards.reading import forget_readings
from services.semantic_cache.guards.reasons import Guard
from services.semantic_cache.guards.refusal import refuse
from services.semantic_cache.guards.speaker import tells_of_speaker

__all__ = ["Guard", "forget_readings", "refuse", "tells_of_speaker"]
