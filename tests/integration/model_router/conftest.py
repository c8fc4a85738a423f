"""The whole router in this process: real gRPC in front, Anthropic's SDK and the simulator behind it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import aiohttp
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from agentmesh.auth.v1.auth_pb2 import IssueTokenRequest, IssueTokenResponse
from agentmesh.model_router.v1.model_router_pb2 import GenerateRequest, GenerateResponse
from agentmesh.model_router.v1.model_router_pb2_grpc import ModelRouterServiceStub
from agentmesh.monitoring.v1.monitoring_pb2 import (
    GetOverviewResponse,
    ModelCallEvent,
    ReportUsageRequest,
    ReportUsageResponse,
)
from agentmesh.monitoring.v1.monitoring_pb2_grpc import (
    MonitoringServiceServicer,
    add_MonitoringServiceServicer_to_server,
)
from agentmesh.types.v1.types_pb2 import ROLE_USER, ChatMessage
from libs.core.clock import SystemClock
from libs.core.context import Principal
from libs.core.errors import MeshError
from libs.core.ids import new_request_id
from libs.core.rng import new_rng
from libs.mesh.errors import decode
from libs.server.lifecycle import Process, serving
from libs.server.runtime import Runtime
from libs.server.spec import INTERNAL_AUDIENCE, Authenticated, Authenticator, ServiceSpec
from libs.telemetry.telemetry import Telemetry
from services.model_router.bootstrap import build
from services.model_router.settings import RouterSettings
from services.model_simulator.bootstrap import serving as simulating
from services.model_simulator.settings import SimulatorSettings

METADATA = (("authorization", "Bearer token"),)


class Trusting(Authenticator):
    """Takes everybody for a service that acts for tenant t1."""

    async def authenticate(self, method: str, credential: str) -> Authenticated:
        return Authenticated(Principal("t1", "u1", audience=INTERNAL_AUDIENCE), credential)


class Monitoring(MonitoringServiceServicer):
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ModelCallEvent]] = []

    async def ReportUsage(self, request: ReportUsageRequest, context: object) -> ReportUsageResponse:  # noqa: N802
        self.calls += [(event.tenant_id, event.model_call) for event in request.events]
        return ReportUsageResponse(accepted_count=len(request.events))

    async def GetOverview(self, request: object, context: object) -> GetOverviewResponse:  # noqa: N802
        raise NotImplementedError


@dataclass(slots=True)
class Answer:
    """One call's responses, put together."""

    responses: list[GenerateResponse]

    @property
    def text(self) -> str:
        return "".join(response.text for response in self.responses)

    @property
    def hops(self) -> list[tuple[str, str]]:
        return [(hop.model, hop.failure) for hop in self.responses[-1].finished.hops]


@dataclass(slots=True)
class Routed:
    """A running router as a test sees it."""

    stub: ModelRouterServiceStub
    http: aiohttp.ClientSession
    telemetry: Telemetry
    monitoring: Monitoring = field(default_factory=Monitoring)

    def call(
        self, text: str = "What is a circuit breaker?", *, timeout: float = 20.0, **fields: object
    ) -> "grpc.aio.UnaryStreamCall[GenerateRequest, GenerateResponse]":
        messages = [ChatMessage(role=ROLE_USER, content=text)]
        request = GenerateRequest(request_id=new_request_id(), messages=messages, **fields)  # type: ignore[arg-type]
        return self.stub.Generate(request, timeout=timeout, metadata=METADATA)  # type: ignore[return-value]  # the stub is an async one

    async def ask(self, text: str = "What is a circuit breaker?", **fields: object) -> Answer:
        return Answer([response async for response in self.call(text, **fields)])  # type: ignore[arg-type]

    async def refused(self, **fields: object) -> MeshError:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.ask(**fields)  # type: ignore[arg-type]
        return decode(caught.value, "test")

    async def fault(self, **fields: object) -> None:
        async with self.http.post("/admin/faults", json=fields) as response:
            assert response.status == 201, await response.text()

    async def until(self, condition: Callable[[dict[str, object]], bool]) -> None:
        """Wait until the simulator's statistics fulfil `condition`."""
        while True:
            async with self.http.get("/admin/statistics") as response:
                if condition(await response.json()):
                    return

    def metric(self, name: str, **labels: str) -> float:
        return self.telemetry.metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def trusting(settings: RouterSettings, runtime: Runtime) -> AsyncIterator[ServiceSpec]:
    async with build(settings, runtime) as spec:
        yield replace(spec, authenticator=Trusting())


async def issue_token(request: IssueTokenRequest, context: object) -> IssueTokenResponse:
    """All that the router's own calls need of auth."""
    return IssueTokenResponse(token="token", expire_time=Timestamp(seconds=2**33))


_AUTH = grpc.method_handlers_generic_handler(
    "agentmesh.auth.v1.AuthService",
    {
        "IssueToken": grpc.unary_unary_rpc_method_handler(
            issue_token,
            request_deserializer=IssueTokenRequest.FromString,
            response_serializer=IssueTokenResponse.SerializeToString,
        )
    },
)


@asynccontextmanager
async def peers(monitoring: Monitoring) -> AsyncIterator[str]:
    """Auth and monitoring, at one address."""
    server = grpc.aio.server()
    add_MonitoringServiceServicer_to_server(monitoring, server)
    server.add_generic_rpc_handlers((_AUTH,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"static:///127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def routed(
    simulator: dict[str, object] | None = None, monitoring: Monitoring | None = None, **settings: object
) -> AsyncIterator[Routed]:
    """A router in front of a simulator."""
    reports = monitoring or Monitoring()
    telemetry = Telemetry.local("model_router")
    clock = SystemClock()
    simulated = SimulatorSettings.model_validate({"drain_grace": 0, **(simulator or {})})
    async with (
        simulating(simulated, clock) as address,
        peers(reports) as target,
        aiohttp.ClientSession(f"http://{address}") as http,
    ):
        values = {
            "anthropic_api_key": "sk-sim-acme-1",
            "anthropic_base_url": f"http://{address}",
            "monitoring_target": target,
            "auth_target": target,
            "service_secret": "secret",
            "drain_wait": 0,
            "drain_grace": 0.2,
            **settings,
        }
        process = Process(clock, new_rng(1), telemetry)
        async with (
            serving("model_router", RouterSettings.model_validate(values), trusting, process) as bound,
            grpc.aio.insecure_channel(str(bound.grpc)) as channel,
        ):
            yield Routed(ModelRouterServiceStub(channel), http, telemetry, reports)


@pytest.fixture
async def router() -> AsyncIterator[Routed]:
    async with routed() as running:
        yield running
