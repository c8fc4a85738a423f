"""Where the model router is put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from agentmesh.model_router.v1.model_router_pb2_grpc import add_ModelRouterServiceServicer_to_server
from libs.server.runtime import Runtime
from libs.server.spec import Access, MethodPolicy, ServiceSpec
from libs.telemetry.usage import UsageReporter
from services.model_router.adapters.anthropic_provider import AnthropicOptions, AnthropicProvider, open_client
from services.model_router.adapters.books import TelemetryBooks
from services.model_router.catalogue import load
from services.model_router.convert import validate_generate
from services.model_router.gate import Gate
from services.model_router.generation import Generator, Upstream
from services.model_router.models import Catalogue
from services.model_router.ports import ModelProvider
from services.model_router.prompt import Tier
from services.model_router.routing import Router, RoutingPolicy
from services.model_router.servicer import ModelRouterServicer
from services.model_router.settings import RouterSettings

_SERVICE: Final = "agentmesh.model_router.v1.ModelRouterService"
_GENERATE_SECONDS: Final = 120.0

METHODS: Final = {
    # Money is spent here, so only our own services may ask; the front door has counted it against somebody's quota.
    f"/{_SERVICE}/Generate": MethodPolicy(
        Access.INTERNAL, default_timeout=_GENERATE_SECONDS, validate=validate_generate
    ),
    f"/{_SERVICE}/ListModels": MethodPolicy(Access.USER),
}


@asynccontextmanager
async def build(settings: RouterSettings, runtime: Runtime) -> AsyncIterator[ServiceSpec]:
    """The service. It has no dependency it could wait for: while the provider is away, calls say so one by one."""
    catalogue = load(settings.catalogue_path)
    usage = runtime.usage_reporter(settings.monitoring_target)
    options = AnthropicOptions(
        base_url=settings.anthropic_base_url,
        api_key=settings.anthropic_api_key.get_secret_value(),
        connect_timeout=settings.connect_timeout,
        max_connections=settings.max_upstream_calls,
    )
    async with open_client(options) as client:
        provider = AnthropicProvider(client, options.connect_timeout)
        generator = _generator(settings, runtime, catalogue, provider, usage)
        servicer = ModelRouterServicer(generator, catalogue, settings.stream_interval, runtime.clock)
        yield ServiceSpec(
            registrations=(partial(add_ModelRouterServiceServicer_to_server, servicer),),
            services=(_SERVICE,),
            methods=METHODS,
            authenticator=runtime.token_authenticator(),
            background=(usage.run,) if usage is not None else (),
        )


def _generator(
    settings: RouterSettings,
    runtime: Runtime,
    catalogue: Catalogue,
    provider: ModelProvider,
    usage: UsageReporter | None,
) -> Generator:
    policy = RoutingPolicy(Tier[settings.default_tier.upper()], settings.default_max_tokens, settings.max_tries)
    gate = Gate(settings.max_upstream_calls, settings.max_upstream_wait)
    books = TelemetryBooks(runtime.telemetry.metrics, usage, runtime.service, runtime.clock)
    return Generator(Upstream(provider, gate, settings.patience()), Router(catalogue, policy), books, runtime.clock)
