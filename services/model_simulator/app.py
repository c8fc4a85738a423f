"""The HTTP layer: finds the endpoint, reads the body, turns failures into Anthropic's error shape."""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web

from libs.core.clock import Clock
from libs.core.ids import random_id
from libs.telemetry import logs
from services.model_simulator import models, wire
from services.model_simulator.admin import AdminEndpoints
from services.model_simulator.errors import ApiError
from services.model_simulator.exchange import Exchange, json_response
from services.model_simulator.messages import MessagesEndpoint
from services.model_simulator.simulator import Simulator

Endpoint = Callable[[Exchange], Awaitable[web.StreamResponse]]


class App:
    """What the server calls with every request; a dictionary of paths is faster than aiohttp's router."""

    __slots__ = ("_count", "_log", "_max_body", "_model", "_routes", "_run", "_simulator")

    def __init__(self, simulator: Simulator, clock: Clock, log: logs.Logger, max_body_bytes: int) -> None:
        self._simulator = simulator
        self._log = log
        self._max_body = max_body_bytes
        self._run: Final = random_id("", 8)
        self._count = itertools.count(1)
        messages = MessagesEndpoint(simulator, clock)
        admin = AdminEndpoints(simulator, log)
        catalogue = models.ModelsEndpoint(simulator.catalogue)
        self._model: Endpoint = catalogue.get
        self._routes: Mapping[str, Mapping[str, Endpoint]] = {
            "/v1/messages": {"POST": messages.create},
            "/v1/messages/count_tokens": {"POST": messages.count_tokens},
            models.PATH: {"GET": catalogue.list},
            "/admin/faults": {"POST": admin.add_fault, "GET": admin.list_faults, "DELETE": admin.clear_faults},
            "/admin/statistics": {"GET": admin.statistics},
            "/admin/reset": {"POST": admin.reset},
            "/healthz": {"GET": _health},
        }

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        exchange = Exchange(request, f"req_sim_{self._run}{next(self._count):08x}", b"")
        try:
            endpoint = self._endpoint(request)
            if request.can_read_body:
                exchange = Exchange(request, exchange.request_id, await self._read(request))
            return await endpoint(exchange)
        except ApiError as error:
            self._simulator.statistics.count_error(error.status)
            self._log.debug("simulator.refused", status=error.status, request_id=exchange.request_id)
            body = wire.error_body(error, exchange.request_id)
            return json_response(exchange, body, status=error.status, headers=error.headers)

    def _endpoint(self, request: web.BaseRequest) -> Endpoint:
        path = request.path
        methods = self._routes.get(path)
        if methods is None and path.startswith(models.PATH + "/"):
            methods = {"GET": self._model}
        if methods is None:
            raise ApiError(404, f"Not found: {path[:200]}")
        endpoint = methods.get(request.method)
        if endpoint is None:
            raise ApiError(400, f"{request.method} is not allowed here; use {' or '.join(methods)}")
        return endpoint

    async def _read(self, request: web.BaseRequest) -> bytes:
        if (request.content_length or 0) > self._max_body:
            raise self._too_large()
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise self._too_large() from error

    def _too_large(self) -> ApiError:
        return ApiError(413, f"Request exceeds the maximum size of {self._max_body} bytes")


async def _health(exchange: Exchange) -> web.StreamResponse:
    return json_response(exchange, b'{"status":"ok"}')
