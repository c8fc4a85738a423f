"""Wires the memory service: the only place that knows which adapter stands behind which port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from agentmesh.memory.v1.memory_pb2_grpc import add_MemoryServiceServicer_to_server
from libs.server.runtime import Runtime
from libs.server.spec import Access, MethodPolicy, ServiceSpec
from libs.store.connection import connect
from libs.telemetry.catalogue import MEMORY_CONTEXT_TOKENS
from services.memory import convert
from services.memory.adapters.redis_history import RedisHistory
from services.memory.servicer import MemoryServicer
from services.memory.settings import MemorySettings

_SERVICE: Final = "agentmesh.memory.v1.MemoryService"
_METHODS: Final = {
    f"/{_SERVICE}/AppendMessages": MethodPolicy(Access.INTERNAL, default_timeout=5.0, validate=convert.validate_append),
    f"/{_SERVICE}/GetContext": MethodPolicy(Access.INTERNAL, default_timeout=5.0, validate=convert.validate_context),
    f"/{_SERVICE}/ListMessages": MethodPolicy(Access.INTERNAL, default_timeout=5.0, validate=convert.validate_list),
    f"/{_SERVICE}/DeleteConversation": MethodPolicy(
        Access.INTERNAL, default_timeout=5.0, validate=convert.validate_delete
    ),
}


@asynccontextmanager
async def build(settings: MemorySettings, runtime: Runtime) -> AsyncIterator[ServiceSpec]:
    """The service, ready to be served; Redis may still be away."""
    async with connect(settings.redis_url, timeout=settings.redis_timeout) as store:
        history = RedisHistory(store, settings.tombstone_ttl * 1000)
        context_tokens = runtime.telemetry.metrics.histogram(MEMORY_CONTEXT_TOKENS)
        servicer = MemoryServicer(history, settings, context_tokens)
        yield ServiceSpec(
            registrations=(partial(add_MemoryServiceServicer_to_server, servicer),),
            services=(_SERVICE,),
            methods=_METHODS,
            authenticator=runtime.token_authenticator(),
            readiness={"redis": store.ping},
        )
