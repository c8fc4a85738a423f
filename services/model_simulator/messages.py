"""POST /v1/messages and count_tokens: carries out what the simulator planned."""

import asyncio
from typing import Final

from aiohttp import web

from libs.core.clock import Clock
from services.model_simulator import sse, wire
from services.model_simulator.errors import ApiError
from services.model_simulator.exchange import JSON_TYPE, Exchange, all_headers, json_response
from services.model_simulator.faults import FaultKind
from services.model_simulator.limits import organisation_of
from services.model_simulator.simulator import Plan, Simulator, failure

_EVENT_STREAM: Final = "text/event-stream; charset=utf-8"
_BREAKS_STREAM: Final = frozenset({FaultKind.CUT_STREAM, FaultKind.ERROR_IN_STREAM, FaultKind.MALFORMED})


class MessagesEndpoint:
    """Answers as messages, whole or streamed."""

    __slots__ = ("_clock", "_simulator")

    def __init__(self, simulator: Simulator, clock: Clock) -> None:
        self._simulator = simulator
        self._clock = clock

    async def create(self, exchange: Exchange) -> web.StreamResponse:
        """Answer one call, and count it whichever way it ends."""
        statistics = self._simulator.statistics
        statistics.enter()
        try:
            return await self._answer(exchange)
        except asyncio.CancelledError:
            # At shutdown the connection is still there; then it was not the client who gave up.
            if exchange.request.transport is None:
                statistics.count_cancelled()
            raise
        finally:
            statistics.leave()

    async def count_tokens(self, exchange: Exchange) -> web.StreamResponse:
        """Estimate a prompt's input tokens."""
        organisation_for(exchange)
        return json_response(exchange, wire.token_count(self._simulator.count_tokens(exchange.body)))

    async def _answer(self, exchange: Exchange) -> web.StreamResponse:
        organisation = organisation_for(exchange)
        plan = self._simulator.plan(organisation, exchange.body)
        if plan.fault is not None and plan.fault.kind is FaultKind.HANG:
            await self._clock.sleep(plan.fault.seconds)
            raise ApiError(504, "The request was left hanging by a fault.")
        if plan.stream:
            return await _Stream(exchange, plan, self._simulator, self._clock).run()
        return await self._whole(exchange, plan)

    async def _whole(self, exchange: Exchange, plan: Plan) -> web.StreamResponse:
        wait = plan.pace.finished(plan.completion.tokens)
        if wait:
            await self._clock.sleep(wait)
        self._simulator.settle(plan, plan.completion.tokens)
        body = wire.message(_message_id(exchange), plan.model, plan.usage, plan.completion)
        kind = plan.fault.kind if plan.fault else None
        if kind is FaultKind.MALFORMED:
            body = body[: len(body) // 2]
        if kind is FaultKind.CUT_STREAM:
            return await _cut_off(exchange, plan, body)
        return json_response(exchange, body, headers=plan.headers)


class _Stream:
    """One streamed answer. Tokens that are due at the same time go out in one write."""

    __slots__ = ("_clock", "_exchange", "_plan", "_response", "_sent", "_simulator", "_started")

    def __init__(self, exchange: Exchange, plan: Plan, simulator: Simulator, clock: Clock) -> None:
        self._exchange = exchange
        self._plan = plan
        self._simulator = simulator
        self._clock = clock
        self._sent = 0
        self._started = clock.monotonic()
        headers = all_headers(exchange, _EVENT_STREAM, plan.headers)
        headers["cache-control"] = "no-cache"
        self._response = web.StreamResponse(headers=headers)

    async def run(self) -> web.StreamResponse:
        """Send it all, or as much as the client and the plan's fault let through."""
        try:
            await self._response.prepare(self._exchange.request)
            await self._send()
        except ConnectionError:
            self._simulator.statistics.count_cancelled()
        finally:
            self._simulator.settle(self._plan, self._sent)
        return self._response

    async def _send(self) -> None:
        plan = self._plan
        fault = plan.fault if plan.fault and plan.fault.kind in _BREAKS_STREAM else None
        last = plan.completion.tokens if fault is None else min(fault.after_tokens, plan.completion.tokens)
        unsent = sse.opening(_message_id(self._exchange), plan.model, plan.usage, plan.completion)
        while self._sent < last:
            elapsed = self._clock.monotonic() - self._started
            arrived = plan.pace.arrived(elapsed, last)
            if arrived > self._sent:
                unsent += sse.deltas(plan.completion.pieces[self._sent : arrived])
                self._sent = arrived
            else:
                await self._response.write(unsent)
                unsent = b""
                await self._clock.sleep(plan.pace.due(self._sent) - elapsed)
        await self._response.write(unsent + self._end())
        if fault is not None and fault.kind is FaultKind.CUT_STREAM:
            _close(self._exchange)

    def _end(self) -> bytes:
        plan = self._plan
        fault = plan.fault
        if fault is None or fault.kind not in _BREAKS_STREAM:
            return sse.closing(plan.usage, plan.completion)
        if fault.kind is FaultKind.ERROR_IN_STREAM:
            return sse.error(failure(fault), self._exchange.request_id)
        return sse.MALFORMED if fault.kind is FaultKind.MALFORMED else b""


def organisation_for(exchange: Exchange) -> str:
    """Whose key came with the request; 401 without one, 400 without a version."""
    headers = exchange.request.headers
    key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
    if not key:
        raise ApiError(401, "x-api-key header is required")
    if "anthropic-version" not in headers:
        raise ApiError(400, "anthropic-version: header is required")
    return organisation_of(key)


async def _cut_off(exchange: Exchange, plan: Plan, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers=all_headers(exchange, JSON_TYPE, plan.headers))
    response.content_length = len(body)
    await response.prepare(exchange.request)
    await response.write(body[: len(body) // 2])
    _close(exchange)
    return response


def _close(exchange: Exchange) -> None:
    # close() and not abort(): what was written still reaches the client, and then the connection ends.
    if exchange.request.transport is not None:
        exchange.request.transport.close()


def _message_id(exchange: Exchange) -> str:
    return "msg_sim" + exchange.request_id.removeprefix("req_sim")
