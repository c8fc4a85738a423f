"""The admin page /mesh: what every channel of this process knows about its endpoints, as JSON."""

from collections.abc import Callable, Sequence

import orjson
from aiohttp import web

from libs.mesh.channel_core import MeshStatistics
from libs.mesh.endpoint import EndpointStatistics


def mesh_page(channels: Callable[[], Sequence[MeshStatistics]]) -> web.RouteDef:
    """`GET /mesh`; `agentmesh mesh` draws it.

    Args:
        channels: a snapshot of each channel.
    """

    async def page(_request: web.Request) -> web.Response:
        body = orjson.dumps({"channels": [_channel(channel) for channel in channels()]})
        return web.Response(body=body, content_type="application/json")

    return web.get("/mesh", page)


def _channel(statistics: MeshStatistics) -> dict[str, object]:
    return {
        "target": statistics.target,
        "policy": statistics.policy,
        "calls": statistics.calls,
        "retries": statistics.retries,
        "retries_left": statistics.budget.balance,
        "shed": statistics.shed,
        "panicking": statistics.balancer.panicking,
        "endpoints": [_endpoint(endpoint) for endpoint in statistics.endpoints],
    }


def _endpoint(statistics: EndpointStatistics) -> dict[str, object]:
    return {
        "address": statistics.address,
        "zone": statistics.zone,
        "weight": statistics.weight,
        "state": "EJECTED" if statistics.ejected else statistics.breaker.state.name,
        "cost": statistics.cost,
        "in_flight": statistics.in_flight,
        "limit": statistics.limit,
        "attempts": statistics.attempts,
        "failures": statistics.failures,
        "times_opened": statistics.breaker.times_opened,
        "ejections": statistics.ejections,
    }
