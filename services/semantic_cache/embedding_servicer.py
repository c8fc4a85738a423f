"""EmbeddingService on the wire."""

from typing import Final

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.semantic_cache.v1.semantic_cache_pb2_grpc import EmbeddingServiceServicer
from services.semantic_cache import convert
from services.semantic_cache.embedding.queue import EmbeddingQueue


class EmbeddingServicer(EmbeddingServiceServicer):
    """Hands texts to the model.

    Args:
        queue: in front of the model.
        space: names the space of its vectors.
    """

    def __init__(self, queue: EmbeddingQueue, space: str) -> None:
        self._queue: Final = queue
        self._space: Final = space

    async def Embed(self, request: pb.EmbedRequest, context: object) -> pb.EmbedResponse:
        """Return one unit vector per text."""
        embeddings = await self._queue.embed(request.texts)
        return convert.embed_response(embeddings, self._queue.model.name, self._space)
