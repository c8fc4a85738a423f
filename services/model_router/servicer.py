"""ModelRouterService: messages in, messages out; decisions are made elsewhere."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from agentmesh.model_router.v1.model_router_pb2 import (
    GenerateRequest,
    GenerateResponse,
    ListModelsRequest,
    ListModelsResponse,
)
from agentmesh.model_router.v1.model_router_pb2_grpc import ModelRouterServiceServicer
from libs.core.clock import Clock
from libs.core.context import require
from libs.core.deadline import Deadline
from services.model_router.coalescer import Coalescer
from services.model_router.convert import from_catalogue, from_end, from_text, to_request
from services.model_router.generation import Generator
from services.model_router.models import Catalogue
from services.model_router.pacing import paced
from services.model_router.prompt import GenerationRequest


class ModelRouterServicer(ModelRouterServiceServicer):
    """The gRPC face of the router.

    Args:
        generator: asks the models.
        catalogue: what ListModels shows.
        interval: seconds between two pieces of a stream, at least.
        clock: paces streams.
    """

    def __init__(self, generator: Generator, catalogue: Catalogue, interval: float, clock: Clock) -> None:
        self._generator = generator
        self._models = from_catalogue(catalogue)
        self._interval = interval
        self._clock = clock

    async def Generate(self, request: GenerateRequest, context: object) -> AsyncGenerator[GenerateResponse, None]:
        """See the contract."""
        wanted = to_request(request)
        deadline = require().deadline
        if not request.stream:
            end = await self._generator.run(wanted, deadline)
            yield from_end(end.text, end)
            return
        async with aclosing(self._streamed(wanted, deadline)) as responses:
            async for response in responses:
                yield response

    async def _streamed(self, request: GenerationRequest, deadline: Deadline) -> AsyncGenerator[GenerateResponse, None]:
        work = partial(self._generator.run, request, deadline)
        async with aclosing(paced(work, Coalescer(self._interval), self._clock)) as pieces:
            async for piece in pieces:
                yield from_text(piece.text) if piece.end is None else from_end(piece.text, piece.end)

    async def ListModels(self, request: ListModelsRequest, context: object) -> ListModelsResponse:
        """See the contract."""
        return self._models
