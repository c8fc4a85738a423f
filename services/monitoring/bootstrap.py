"""Where the monitoring service is put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from agentmesh.monitoring.v1.monitoring_pb2_grpc import add_MonitoringServiceServicer_to_server
from libs.server.runtime import Runtime
from libs.server.spec import Access, MethodPolicy, ServiceSpec
from libs.store.connection import connect
from libs.telemetry import logs
from services.monitoring.adapters.dashboard import Dashboard
from services.monitoring.adapters.redis_slices import RedisSlices
from services.monitoring.aggregate import EVERYONE
from services.monitoring.broadcast import Broadcast
from services.monitoring.convert import validate_overview, validate_report
from services.monitoring.ledger import UsageLedger
from services.monitoring.sampler import Sampler
from services.monitoring.servicer import MonitoringServicer
from services.monitoring.settings import MonitoringSettings

SERVICE: Final = "agentmesh.monitoring.v1.MonitoringService"
METHODS: Final = {
    f"/{SERVICE}/ReportUsage": MethodPolicy(Access.INTERNAL, default_timeout=5.0, validate=validate_report),
    f"/{SERVICE}/GetOverview": MethodPolicy(Access.USER, default_timeout=5.0, validate=validate_overview),
}


@asynccontextmanager
async def build(settings: MonitoringSettings, runtime: Runtime) -> AsyncIterator[ServiceSpec]:
    """The service, wired to Redis; the connection lasts as long as the block."""
    async with connect(settings.redis_url, timeout=settings.redis_timeout) as store:
        ledger = UsageLedger(RedisSlices(store, settings.batch_memory), runtime.clock)
        broadcast = Broadcast(settings.dashboard_max_viewers)
        sampler = Sampler(
            partial(ledger.overview, EVERYONE, settings.dashboard_window),
            broadcast,
            runtime.clock,
            settings.dashboard_interval,
            logs.get("dashboard"),
        )
        yield ServiceSpec(
            registrations=(partial(add_MonitoringServiceServicer_to_server, MonitoringServicer(ledger)),),
            services=(SERVICE,),
            methods=METHODS,
            authenticator=runtime.token_authenticator(),
            readiness={"redis": store.ping},
            background=(sampler.run,),
            routes=Dashboard(broadcast, settings.dashboard_token.get_secret_value()).routes(),
        )
