"""The /admin endpoints: faults, statistics, reset. They ask for no key: the simulator is not for production."""

import orjson
from aiohttp import web

from libs.telemetry import logs
from services.model_simulator.exchange import Exchange, json_response
from services.model_simulator.faults import describe, parse_fault
from services.model_simulator.parsing import parse_body
from services.model_simulator.simulator import Simulator


class AdminEndpoints:
    """Lets tests decide what goes wrong and see what was served."""

    __slots__ = ("_log", "_simulator")

    def __init__(self, simulator: Simulator, log: logs.Logger) -> None:
        self._simulator = simulator
        self._log = log

    async def add_fault(self, exchange: Exchange) -> web.StreamResponse:
        """POST /admin/faults: 201 with the fault as it was understood."""
        fault = parse_fault(parse_body(exchange.body))
        if fault.model:
            self._simulator.catalogue.require(fault.model)
        self._simulator.faults.add(fault)
        described = describe(fault)
        self._log.info("simulator.fault_added", **described)
        return json_response(exchange, orjson.dumps(described), status=201)

    async def list_faults(self, exchange: Exchange) -> web.StreamResponse:
        """GET /admin/faults: those in force, oldest first."""
        return json_response(exchange, orjson.dumps({"faults": self._simulator.faults.snapshot()}))

    async def clear_faults(self, exchange: Exchange) -> web.StreamResponse:
        """DELETE /admin/faults: how many were withdrawn."""
        return json_response(exchange, orjson.dumps({"removed": self._simulator.faults.clear()}))

    async def statistics(self, exchange: Exchange) -> web.StreamResponse:
        """GET /admin/statistics."""
        return json_response(exchange, orjson.dumps(self._simulator.statistics.snapshot()))

    async def reset(self, exchange: Exchange) -> web.StreamResponse:
        """POST /admin/reset: faults, charges, cached prefixes and counters are as at the start."""
        self._simulator.reset()
        self._log.info("simulator.reset")
        return json_response(exchange, b"{}")
