"""Turns, counted: every one that is run, by a caller or by a job, is reported once, however it ends."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from libs.core.clock import Clock
from libs.core.context import RequestContext, require
from libs.core.errors import MeshError, Reason
from services.conversation.ports import TurnOutcome, Usages
from services.conversation.turn import Answer, TurnEvent, TurnRequest
from services.conversation.turns import TurnRunner


class AccountedTurns:
    """A `TurnRunner` whose turns are reported."""

    def __init__(self, turns: TurnRunner, usages: Usages, clock: Clock) -> None:
        self._turns: Final = turns
        self._usages: Final = usages
        self._clock: Final = clock

    async def run(self, request: TurnRequest) -> AsyncGenerator[TurnEvent, None]:
        """As `TurnRunner.run`."""
        started = self._clock.monotonic()
        context = require()
        context.log_fields["conversation_id"] = request.conversation_id
        context.log_fields["request_id"] = request.request_id
        # What stands if the turn ends in a way that no reason of the catalogue is for: a bug.
        outcome = TurnOutcome(request.owner, 0.0, error_reason=Reason.INTERNAL.name)
        try:
            async with aclosing(self._turns.run(request)) as events:
                async for event in events:
                    if isinstance(event, Answer):
                        outcome = TurnOutcome(request.owner, 0.0, event.report)
                        _log(context, event)
                    yield event
        except MeshError as error:
            outcome = TurnOutcome(request.owner, 0.0, error_reason=error.reason.name)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            # A caller that leaves once it has the answer has had it.
            if outcome.report is None:
                outcome = TurnOutcome(request.owner, 0.0, error_reason=Reason.CANCELLED.name)
            raise
        finally:
            self._usages.turn_ended(outcome.lasting(self._clock.monotonic() - started))


def _log(context: RequestContext, answer: Answer) -> None:
    report = answer.report
    context.log_fields.update(
        route=report.route.name,
        model=report.model,
        cache_layer=report.cache_layer.name,
        cost_usd_micros=report.cost_usd_micros,
        output_tokens=report.usage.output_tokens,
    )
    if report.degraded:
        context.log_fields["degraded"] = report.degraded
    if report.replayed:
        context.log_fields["replayed"] = True
