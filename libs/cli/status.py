"""`agentmesh status`: what the running mesh looks like and what it did lately."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console
from rich.table import Table

from agentmesh.monitoring.v1.monitoring_pb2 import GetOverviewRequest, GetOverviewResponse
from agentmesh.monitoring.v1.monitoring_pb2_grpc import MonitoringServiceStub
from libs.cli.state import MeshState
from libs.cli.tokens import exchange
from libs.core.money import format_usd
from libs.mesh.channel import MeshChannel
from libs.mesh.errors import typed_errors
from libs.mesh.options import MeshOptions
from libs.mesh.service_token import StaticToken

_SECONDS = 1.0


async def status(state: MeshState, console: Console) -> bool:
    """Print the health of every process and the last minutes' figures; whether all serve."""
    table = Table(header_style="bold")
    for heading in ("process", "health", "gRPC", "admin", "pid"):
        table.add_column(heading)
    healthy = True
    for process in state.processes:
        health = await _health(process.grpc) if process.grpc else "-"
        healthy = healthy and health in ("SERVING", "-")
        table.add_row(process.name, health, process.grpc, process.admin, str(process.pid))
    console.print(table)
    monitoring = [process.grpc for process in state.processes if process.service == "monitoring"]
    if monitoring and healthy:
        _print_overview(await _overview(state, monitoring), console)
        console.print(f"[dim]live: {state.dashboard_url}[/dim]")
    return healthy


async def _health(address: str) -> str:
    async with grpc.aio.insecure_channel(address, (("grpc.enable_http_proxy", 0),)) as channel:
        try:
            response = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))


async def _overview(state: MeshState, addresses: list[str]) -> GetOverviewResponse:
    token = await exchange(state.auth_target, state.api_key)
    target = "static:///" + ",".join(addresses)
    async with MeshChannel(target, MeshOptions(token_source=StaticToken(token))) as channel:
        with typed_errors("monitoring"):
            return await MonitoringServiceStub(channel).GetOverview(GetOverviewRequest())


def _print_overview(overview: GetOverviewResponse, console: Console) -> None:
    hits = overview.cache_hit_count / overview.turn_count if overview.turn_count else 0.0
    console.print(
        f"last {overview.window.seconds} s: [bold]{overview.turn_count}[/bold] turns, {overview.error_count} failed, "
        f"p50 {overview.p50_ms:.0f} ms, p95 {overview.p95_ms:.0f} ms, p99 {overview.p99_ms:.0f} ms, "
        f"{hits:.0%} from the cache, cost {format_usd(overview.cost_usd_micros)}, "
        f"saved {format_usd(overview.saved_usd_micros)}"
    )
