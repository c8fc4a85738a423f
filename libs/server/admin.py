"""The admin HTTP port, for Prometheus and the kubelet: /metrics, /healthz, /readyz, and a service's own pages."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from libs.server.address import Address
from libs.server.readiness import Readiness
from libs.telemetry.metrics import Metrics


@asynccontextmanager
async def admin_port(
    address: Address, readiness: Readiness, metrics: Metrics, routes: Sequence[web.RouteDef]
) -> AsyncIterator[Address]:
    """Serve the pages inside the block; yields the address that was bound."""
    application = web.Application()
    application.add_routes([*_pages(readiness, metrics), *routes])
    runner = web.AppRunner(application, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address.host, address.port)
        await site.start()
        yield Address(address.host, runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _pages(readiness: Readiness, metrics: Metrics) -> Sequence[web.RouteDef]:
    async def metrics_page(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_request: web.Request) -> web.Response:
        # Answering at all is the answer: a process that lost Redis must not be restarted for it.
        return web.Response(text="alive\n")

    async def readyz(_request: web.Request) -> web.Response:
        body = orjson.dumps({"ready": readiness.ready, "faults": readiness.faults()})
        return web.Response(body=body, status=200 if readiness.ready else 503, content_type="application/json")

    return [web.get("/metrics", metrics_page), web.get("/healthz", healthz), web.get("/readyz", readyz)]
